"""XML: bytes to plain data and back, for documents of nested elements with text.

Written on expat itself: xmltodict can neither bound the depth nor refuse every DTD, and takes 2.5 times as long.
"""

from __future__ import annotations

from html import escape
from typing import Any
from xml.parsers import expat

from pushreg.errors import MalformedError

MAX_DEPTH = 32
MAX_ELEMENTS = 1000


def decode(body: bytes) -> dict[str, Any]:
    """Return `{root: content}`; an element's content is its children by name (a list where a name repeats) or its text.

    Text beside child elements is dropped: printed samples have stray `**` there (seed 001). MalformedError on anything
    that is not well-formed, carries a DTD, has attributes or namespaces, or nests too deeply.
    """
    return _Builder().build(body)


def encode(data: dict[str, Any]) -> bytes:
    """Return `{root: content}` as UTF-8 XML without a declaration, in the order of the members."""
    return "".join(_render(name, content) for name, content in data.items()).encode("utf-8")


def _render(name: str, content: Any) -> str:
    if isinstance(content, dict):
        inner = "".join(_render(child, value) for child, value in content.items())
    elif isinstance(content, list):
        return "".join(_render(name, value) for value in content)
    else:
        inner = escape(content, quote=False)
    return f"<{name}>{inner}</{name}>"


class _Builder:
    def __init__(self) -> None:
        self._elements = 0
        self._root: dict[str, Any] = {}
        self._children: list[dict[str, Any]] = [self._root]
        self._texts: list[list[str]] = [[]]

    def build(self, body: bytes) -> dict[str, Any]:
        if b"\x00" in body:  # UTF-16 and UTF-32 too: the documented media type is UTF-8 alone.
            raise MalformedError("not UTF-8")
        # Held by nothing else: in a cycle with the handlers, its 10 kB would wait for the garbage collector.
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        # No DTD at all: that shuts out entity expansion and external entities together (OWASP XXE).
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.XmlDeclHandler = self._check_declaration
        try:
            body.decode("utf-8")
            parser.Parse(body.lstrip(), True)
        except UnicodeDecodeError as error:
            raise MalformedError("not UTF-8") from error
        except expat.ExpatError as error:
            raise MalformedError(f"{expat.ErrorString(error.code)} around {error.offset}") from error
        return self._root

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if len(self._texts) > MAX_DEPTH or self._elements > MAX_ELEMENTS:
            raise MalformedError("nested too deeply or too many elements")
        if attributes or ":" in name:
            raise MalformedError("attributes and namespaces are not part of this format")
        self._children.append({})
        self._texts.append([])

    def _end(self, name: str) -> None:
        children = self._children.pop()
        text = "".join(self._texts.pop())
        content: Any = children or text.strip()
        siblings = self._children[-1]
        if name not in siblings:
            siblings[name] = content
        elif isinstance(siblings[name], list):
            siblings[name].append(content)
        else:
            siblings[name] = [siblings[name], content]

    def _text(self, text: str) -> None:
        self._texts[-1].append(text)

    def _check_declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "utf8", "us-ascii"):
            raise MalformedError(f"encoding {encoding} is not UTF-8")

    def _refuse_doctype(self, name: str, system_id: str | None, public_id: str | None, has_internal: bool) -> None:
        raise MalformedError("a DTD is not accepted")
