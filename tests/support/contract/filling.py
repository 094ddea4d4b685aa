"""Fills placeholders: `{name}` from the bindings, `{sha256:text}` and `{repeat:text*times}` computed."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from typing import Any

from tests.support.contract.cases import text_of
from tests.support.contract.matching import Bindings

_NAME = re.compile(r"\{([a-z]\w*)\}")
_SHA256 = re.compile(r"\{sha256:([^{}]*)\}")
_REPEAT = re.compile(r"\{repeat:([^{}]*)\*(\d+)\}")


def fill(template: Any, bindings: Bindings) -> Any:
    """Return the template with every known placeholder filled; a text that is one placeholder takes its value's type.

    Braces around anything else are left alone: they are JSON. A member whose value is `{$omit: true}` falls out.
    """
    if isinstance(template, str):
        return _fill_text(template, bindings)
    if isinstance(template, list):
        return [fill(each, bindings) for each in template]
    if isinstance(template, dict):
        filled = {fill(key, bindings): fill(value, bindings) for key, value in template.items()}
        return {key: value for key, value in filled.items() if value != {"$omit": True}}
    return template


def _fill_text(text: str, bindings: Bindings) -> Any:
    whole = _NAME.fullmatch(text)
    if whole and whole[1] in bindings:
        return fill(bindings[whole[1]], bindings)

    def replace(found: re.Match[str]) -> str:
        return text_of(fill(bindings[found[1]], bindings)) if found[1] in bindings else found[0]

    text = _NAME.sub(replace, text)
    text = _SHA256.sub(lambda found: sha256(found[1].encode()).hexdigest(), text)
    return _REPEAT.sub(lambda found: found[1] * int(found[2]), text)


def build_body(data: Any, text: str | None, parts: list[Any] | None, bindings: Bindings) -> bytes | None:
    """Return the bytes of a request's body, None if it has none."""
    if text is not None:
        return str(fill(text, bindings)).encode()
    if parts is not None:
        return _join(fill(parts, bindings))
    return None if data is None else json.dumps(fill(data, bindings), ensure_ascii=False).encode()


def _join(parts: list[Any]) -> bytes:
    pieces = [_piece(part) for part in parts]
    rest = sum(len(piece) for piece in pieces)
    for index, part in enumerate(parts):
        if isinstance(part, dict) and "fill" in part:
            pieces[index] = part["fill"].encode() * (part["total"] - rest)
    return b"".join(pieces)


def _piece(part: Any) -> bytes:
    match part:
        case str():
            return part.encode()
        case {"hex": digits}:
            return bytes.fromhex(digits)
        case {"repeat": unit, "times": times}:
            return bytes(unit.encode() * times)
        case {"fill": _, "total": _}:
            return b""
    raise ValueError(f"unknown part of a body: {part!r}")
