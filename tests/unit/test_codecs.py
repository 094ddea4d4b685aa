"""The contract of every codec."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushreg.codecs import json, xml
from pushreg.errors import MalformedError

LIMIT = 64 * 1024
# Far above what the slowest honest document takes, far below what anything quadratic would.
MAX_CPU_SECONDS = 0.5

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
JSON_DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda children: st.lists(children) | st.dictionaries(TEXT, children),
)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,8}", fullmatch=True)
XML_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")).map(str.strip)
XML_CONTENTS = st.recursive(
    XML_TEXT,
    lambda children: st.dictionaries(
        NAMES, children | st.lists(children, min_size=2, max_size=3), min_size=1, max_size=4
    ),
    max_leaves=12,
)
XML_DOCUMENTS = st.dictionaries(NAMES, XML_CONTENTS, min_size=1, max_size=1)


@dataclass(frozen=True)
class Codec:
    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]
    documents: st.SearchStrategy[Any]
    scraps: str


JSON = Codec(json.decode, json.encode, JSON_DOCUMENTS, '{}[]",:\\ue0-+.1tfn \ud800')
XML = Codec(xml.decode, xml.encode, XML_DOCUMENTS, "<>/!?[]&;=\"'-:abx \n\ufeff")

each_codec = pytest.mark.parametrize("codec", [JSON, XML], ids=["json", "xml"])


def filled(start: str, unit: str, end: str = "") -> bytes:
    """Return as many units between start and end as a request can hold."""
    return f"{start}{unit * ((LIMIT - len(start) - len(end)) // len(unit))}{end}".encode()


def judge(codec: Codec, body: bytes) -> None:
    """Decode the body, or have it refused; anything else is an error."""
    with contextlib.suppress(MalformedError):
        codec.decode(body)


@each_codec
class TestEveryCodec:
    @settings(max_examples=50)
    @given(data=st.data())
    def test_codec_round_trip_returns_document(self, codec: Codec, data: st.DataObject) -> None:
        document = data.draw(codec.documents)
        assert codec.decode(codec.encode(document)) == document

    @given(body=st.binary())
    def test_codec_random_bytes_raise_only_malformed(self, codec: Codec, body: bytes) -> None:
        judge(codec, body)

    @given(data=st.data())
    def test_codec_random_syntax_raises_only_malformed(self, codec: Codec, data: st.DataObject) -> None:
        judge(codec, data.draw(st.text(codec.scraps)).encode("utf-8", "surrogatepass"))

    @settings(max_examples=50)
    @given(data=st.data())
    def test_codec_damaged_document_raises_only_malformed(self, codec: Codec, data: st.DataObject) -> None:
        body = bytearray(codec.encode(data.draw(codec.documents)))
        start = data.draw(st.integers(0, len(body)))
        end = data.draw(st.integers(start, min(len(body), start + 8)))
        body[start:end] = data.draw(st.binary(max_size=8))
        judge(codec, bytes(body))

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "latin-1"])
    def test_codec_other_encoding_is_malformed(self, codec: Codec, encoding: str) -> None:
        with pytest.raises(MalformedError):
            codec.decode(codec.encode({"a": "höchst"}).decode().encode(encoding))

    @pytest.mark.parametrize("body", [b"", b" \n", b"\x00", b"\xff", b"plain", b"\xed\xa0\x80"])
    def test_codec_non_document_is_malformed(self, codec: Codec, body: bytes) -> None:
        with pytest.raises(MalformedError):
            codec.decode(body)


DOUBLINGS = "".join(f"<!ENTITY b{i + 1} '&b{i};&b{i};'>" for i in range(30))
HOSTILE = {
    "json levels": (JSON, filled("", "[")),
    "json objects": (JSON, filled("", '{"a":')),
    "json digits": (JSON, filled("", "9")),
    "json many long numbers": (JSON, filled("[", "9" * 4300 + ",", "1]")),
    "json fraction": (JSON, filled("0.", "9")),
    "json escapes": (JSON, filled('"', "\\u0041", '"')),
    "json lone surrogates": (JSON, filled('["', '\\ud800","', '"]')),
    "json elements": (JSON, filled("[", "[],", "1]")),
    "json members": (JSON, b"{" + b",".join(b'"%d":0' % i for i in range(6000)) + b"}"),
    "json equal members": (JSON, filled("{", '"a":0,', '"a":0}')),
    "json open string": (JSON, filled('"', "a")),
    "json spaces": (JSON, filled("[", " ")),
    "xml levels": (XML, filled("", "<a>")),
    "xml siblings": (XML, filled("<a>", "<b/>", "</a>")),
    "xml attributes": (XML, b"<a " + b" ".join(b'b%d=""' % i for i in range(6000)) + b"/>"),
    "xml equal attributes": (XML, filled("<a ", 'b="" ', "/>")),
    "xml long name": (XML, filled("<", "a", "/>")),
    "xml references": (XML, filled("<a>", "&lt;", "</a>")),
    "xml sections": (XML, filled("<a>", "<![CDATA[b]]>", "</a>")),
    "xml comments": (XML, filled("<a>", "<!---->", "</a>")),
    "xml instructions": (XML, filled("<a>", "<?b c?>", "</a>")),
    "xml open tag": (XML, filled("<a", " ")),
    "xml open comment": (XML, filled("<a><!--", "-b")),
    "xml lines": (XML, filled("<a>", "b\r\n", "</a>")),
    "xml one big entity": (XML, filled("<!DOCTYPE a [<!ENTITY b '", "c", "'>]><a>&b;&b;&b;</a>")),
    "xml doubled entities": (XML, f"<!DOCTYPE a [<!ENTITY b0 'ha'>{DOUBLINGS}]><a>&b30;</a>".encode()),
}


@pytest.mark.parametrize(("codec", "body"), HOSTILE.values(), ids=HOSTILE)
def test_codec_hostile_document_is_decoded_within_cpu_limit(codec: Codec, body: bytes) -> None:
    assert len(body) <= LIMIT
    started = time.process_time()
    judge(codec, body)
    assert time.process_time() - started < MAX_CPU_SECONDS
