"""XML: bytes to plain data and back by xmltodict, for documents of nested elements with text.

xmltodict's hooks make it strict: the parser it gets refuses every DTD, the postprocessor everything but elements.
"""

from __future__ import annotations

import re
from typing import Any
from xml.parsers import expat

import xmltodict

from pushreg.errors import MalformedError

MAX_DEPTH = 32
MAX_ELEMENTS = 1000

_LATIN_1 = rb"""\s*<\?xml[^>]*\sencoding\s*=\s*["']iso-8859-1["']"""
# What the serialisers of .NET and Java write on the root by themselves.
_ROOT_ATTRIBUTES = ("@xmlns:", "@xsi:")


def decode(body: bytes) -> dict[str, Any]:
    """Return `{root: content}`; an element's content is its children by name (a list where a name repeats) or its text.

    Text beside child elements is dropped, since printed samples have stray `**` there; so are `xmlns` and `xsi`
    attributes of the root. MalformedError on anything that is not well-formed, carries a DTD, has other attributes or
    prefixed names, or nests too deeply.
    """
    if b"\x00" in body:  # UTF-16 and UTF-32 too: the documented media type is UTF-8 alone.
        raise MalformedError("not UTF-8")
    # The postprocessor sees an element when it ends, but xmltodict allocates when it starts: bound the tags first.
    if body.count(b"<") - body.count(b"<?") - body.count(b"<!") > 2 * MAX_ELEMENTS:
        raise MalformedError("nested too deeply or too many elements")
    try:
        text = _to_text(body)
        document: dict[str, Any] = xmltodict.parse(
            text.lstrip(" \t\r\n"), expat=_StrictExpat, postprocessor=_Postprocessor()
        )
    except UnicodeDecodeError as error:
        raise MalformedError("not UTF-8") from error
    except expat.ExpatError as error:
        raise MalformedError(f"{expat.ErrorString(error.code)} around {error.offset}") from error
    return document


def encode(data: dict[str, Any]) -> bytes:
    """Return `{root: content}` as UTF-8 XML without a declaration, in the order of the members."""
    text: str = xmltodict.unparse(data, full_document=False)
    return text.encode("utf-8")


def _to_text(body: bytes) -> str:
    # What declares ISO-8859-1 may have been encoded as UTF-8 on its way, as API Gateway does with text.
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        if re.match(_LATIN_1, body, re.IGNORECASE) is None:
            raise
        return body.decode("latin-1")


class _Postprocessor:
    """Limits depth, count and attributes; called by xmltodict for each attribute, text and finished element."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, path: list[tuple[str, Any]], key: str, value: str | None) -> tuple[str, Any] | None:
        if key == "#text":
            return None
        self._count += 1
        if len(path) > MAX_DEPTH or self._count > MAX_ELEMENTS:
            raise MalformedError("nested too deeply or too many elements")
        if key[0] == "@":
            if len(path) == 1 and (key == "@xmlns" or key.startswith(_ROOT_ATTRIBUTES)):
                return None
            raise MalformedError("attributes are not part of this format")
        if ":" in key:
            raise MalformedError("prefixed names are not part of this format")
        return key, "" if value is None else value


class _StrictExpat:
    """Stands in for the expat module, of which xmltodict uses only ParserCreate."""

    @staticmethod
    def ParserCreate(encoding: str | None, separator: str | None) -> expat.XMLParserType:  # noqa: N802
        parser = expat.ParserCreate(encoding, separator)
        # No DTD at all: that shuts out entity expansion and external entities together (OWASP XXE).
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.XmlDeclHandler = _check_declaration
        return parser


def _check_declaration(version: str, encoding: str | None, standalone: int) -> None:
    if encoding is not None and encoding.lower() not in ("utf-8", "utf8", "us-ascii", "iso-8859-1"):
        raise MalformedError(f"encoding {encoding} is not UTF-8")


def _refuse_doctype(name: str, system_id: str | None, public_id: str | None, has_internal: bool) -> None:
    raise MalformedError("a DTD is not accepted")
