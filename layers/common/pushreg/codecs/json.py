"""JSON: bytes to plain data and back, stricter than the standard library's default."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from pushreg.errors import MalformedError

MAX_DEPTH = 64


def decode(body: bytes) -> Any:
    """Return the data in a UTF-8 JSON text.

    MalformedError on anything RFC 8259 leaves out or leaves open: other encodings, NaN and numbers beyond double range,
    duplicate member names, NUL characters, lone surrogates, more than MAX_DEPTH levels of nesting.
    """
    try:
        text = body.decode("utf-8")
        data = _DECODER.decode(text.removeprefix("\ufeff"))
        if "\\u" in text or text.count("[") + text.count("{") > MAX_DEPTH:
            _inspect(data)
    except UnicodeDecodeError as error:
        raise MalformedError(f"invalid_utf8 around {error.start}") from error
    except json.JSONDecodeError as error:
        reason = "truncated_json" if error.pos >= len(error.doc.rstrip()) else "invalid_json"
        raise MalformedError(f"{reason} around {error.pos}") from error
    except RecursionError as error:
        raise MalformedError("nested too deeply") from error
    except ValueError as error:  # int() refuses thousands of digits (CVE-2020-10735).
        raise MalformedError("invalid number") from error
    return data


def encode(data: Any) -> bytes:
    """Return the data as compact UTF-8 JSON."""
    return _ENCODER.encode(data).encode("utf-8")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedError("duplicate member name")
    return members


def _finite(literal: str) -> float:
    number = float(literal)
    if math.isinf(number):
        raise MalformedError("number out of range")
    return number


def _refuse_constant(literal: str) -> NoReturn:
    raise MalformedError(f"{literal} is not JSON")


def _inspect(data: Any) -> None:
    # Escapes can spell what no UTF-8 text holds; DynamoDB and XML would refuse it much later. Without recursion, since
    # the C scanner nests far deeper than Python's own frames may.
    pending = [(data, 1)]
    while pending:
        value, depth = pending.pop()
        if isinstance(value, str):
            if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
                raise MalformedError("NUL or lone surrogate in a string")
        elif isinstance(value, (dict, list)):
            if depth > MAX_DEPTH:
                raise MalformedError("nested too deeply")
            children = [*value.keys(), *value.values()] if isinstance(value, dict) else value
            pending.extend((child, depth + 1) for child in children)


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_float=_finite, parse_constant=_refuse_constant)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
