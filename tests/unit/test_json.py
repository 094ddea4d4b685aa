"""What the JSON codec accepts and refuses beyond the common codec contract."""

from __future__ import annotations

from typing import Any

import pytest

from pushreg.codecs import json
from pushreg.errors import MalformedError


@pytest.mark.parametrize(
    "body",
    [
        '{"a":1',
        '{"a":}',
        "[1,]",
        "{'a':1}",
        '{"a":1} {}',
        '{"a":1} // why',
        "nul",
        "01",
        "+1",
        "0x1",
        '"\x01"',
        '"\x00"',
        "NaN",
        "Infinity",
        '{"a":-Infinity}',
        "1e999",
        '{"a":[-1e999]}',
        "9" * 5000,
        '{"a":1,"a":1}',
        '[{"a":{"b":1,"c":2,"b":3}}]',
        '{"a":1,"\\u0061":2}',
        '"\\u0000"',
        '"\\ud800"',
        '"\\udc00\\ud800"',
        '{"\\ud800":1}',
        '["' + "x" * 100 + '\\udfff"]',
        "[" * 65 + "]" * 65,
        '{"a":' * 65 + "1" + "}" * 65,
        "[" * 20_000,
        "[" * 20_000 + "]" * 20_000,
        '{"a":' * 10_000,
    ],
    ids=lambda body: body[:20],
)
def test_json_invalid_document_is_malformed(body: str) -> None:
    with pytest.raises(MalformedError):
        json.decode(body.encode())


@pytest.mark.parametrize(
    ("body", "data"),
    [
        ("\ufeff{}", {}),
        ('"\\ud83d\\ude00"', "\U0001f600"),
        ("[" * 64 + "]" * 64, None),
        ('"' + "[" * 100 + '"', "[" * 100),
        ("1e308", 1e308),
        ("1.0", 1.0),
        ("9223372036854775807", 2**63 - 1),
        (' {"a" : [ true , null ] } \n', {"a": [True, None]}),
        ('{"a":{"b":1},"c":{"b":1}}', {"a": {"b": 1}, "c": {"b": 1}}),
    ],
    ids=lambda value: str(value)[:20],
)
def test_json_valid_document_is_decoded(body: str, data: Any) -> None:
    decoded = json.decode(body.encode())
    assert data is None or (decoded == data and type(decoded) is type(data))


def test_json_error_names_position() -> None:
    with pytest.raises(MalformedError, match=r"^truncated_json around 9$"):
        json.decode(b'{"data": ')
    with pytest.raises(MalformedError, match=r"^invalid_json around 8$"):
        json.decode(b'{"data":oops}')
    with pytest.raises(MalformedError, match=r"^invalid_utf8 around 2$"):
        json.decode(b'{"\xff":1}')


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": -float("inf")}])
def test_json_encode_non_finite_number_raises(value: Any) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        json.encode(value)
