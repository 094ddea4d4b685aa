"""What the XML codec accepts and refuses beyond the common codec contract."""

from __future__ import annotations

from typing import Any

import pytest

from pushreg.codecs import xml
from pushreg.errors import MalformedError

LAUGHS = "<!DOCTYPE a [<!ENTITY b 'ha'>" + "".join(f"<!ENTITY b{i} '&b;&b;'>" for i in range(9)) + "]><a>&b8;</a>"


@pytest.mark.parametrize(
    "body",
    [
        "<a>",
        "</a>",
        "<a></b>",
        "<a/><b/>",
        "<a/>text",
        "text<a/>",
        "<a b='c'/>",
        "<a><b xmlns='urn:x'/></a>",
        "<a><b xsi:nil='true'/></a>",
        "<x:a xmlns:x='urn:x'/>",
        "<x:a/>",
        "<a>&b;</a>",
        "<a>&#0;</a>",
        "<a>&#1;</a>",
        "<a>&#xD800;</a>",
        "<a>&#x110000;</a>",
        "<a>\x00</a>",
        "<a>\x01</a>",
        "<a><![CDATA[</a>",
        "<a><!-- -- --></a>",
        "<a><?xml version='1.0'?></a>",
        "\ufeff <?xml version='1.0'?><a/>",
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        "<!DOCTYPE a PUBLIC '-//A//B' 'http://127.0.0.1/'><a/>",
        "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
        "<!DOCTYPE a [<!ENTITY % b SYSTEM 'http://127.0.0.1/'>%b;]><a/>",
        "<!DOCTYPE a [<!ATTLIST a b CDATA 'c'>]><a/>",
        LAUGHS,
        "<?xml version='1.0' encoding='UTF-16'?><a/>",
        "<?xml version='1.0' encoding='ISO-8859-2'?><a/>",
        "<?xml version='1.0' encoding='UTF-7'?><a/>",
        "<?xml version='1.0' encoding='x-nothing'?><a/>",
        "<?xml version='1.0' encoding='cp037'?><a/>",
        "<a>" * 33 + "</a>" * 33,
        "<a>" * 20_000,
        "<a>" * 20_000 + "</a>" * 20_000,
        "<a>" + "<b/>" * 1000 + "</a>",
    ],
    ids=lambda body: body[:40],
)
def test_xml_invalid_document_is_malformed(body: str) -> None:
    with pytest.raises(MalformedError):
        xml.decode(body.encode())


@pytest.mark.parametrize(
    ("body", "data"),
    [
        ("<a/>", {"a": ""}),
        ("<a> b \n</a>", {"a": "b"}),
        ("<a xmlns='urn:x'/>", {"a": ""}),
        ("<a xmlns:i='http://www.w3.org/2001/XMLSchema-instance' xmlns:ns2='urn:x'/>", {"a": ""}),
        ("<a xmlns='urn:x' xmlns:xsi='urn:y' xmlns:xsd='urn:z' xsi:type='w'><b>1</b></a>", {"a": {"b": "1"}}),
        ("<?xml version='1.0' encoding='utf-8'?>\n<a>b</a>\n", {"a": "b"}),
        ("<?xml version='1.0' encoding='US-ASCII' standalone='yes'?><a>b</a>", {"a": "b"}),
        (" \n<?xml version='1.0'?><a>b</a>", {"a": "b"}),
        ("\ufeff<a>b</a>", {"a": "b"}),
        ("<a>&lt;&amp;&gt;&#228;</a>", {"a": "<&>ä"}),
        ("<a><![CDATA[<b>]]>c</a>", {"a": "<b>c"}),
        ("<a>b<!-- c -->d<?e f?></a>", {"a": "bd"}),
        ("<a>**<b>1</b>**<c>2</c></a>", {"a": {"b": "1", "c": "2"}}),
        ("<a><b>1</b><b>2</b><b>3</b></a>", {"a": {"b": ["1", "2", "3"]}}),
        ("<a><b><c/></b></a>", {"a": {"b": {"c": ""}}}),
        ("<a>" * 32 + "</a>" * 32, None),
        ("<a>" + "<b/>" * 999 + "</a>", None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_xml_valid_document_is_decoded(body: str, data: Any) -> None:
    decoded = xml.decode(body.encode())
    assert data is None or decoded == data


def test_xml_latin_1_document_is_decoded_as_it_declares() -> None:
    text = "<?xml version='1.0' encoding=\"iso-8859-1\"?><a>h\xf6chst</a>"
    assert xml.decode(text.encode("latin-1")) == {"a": "h\xf6chst"}
    assert xml.decode(text.encode("utf-8")) == {"a": "h\xf6chst"}
    with pytest.raises(MalformedError):
        xml.decode(text.replace("iso-8859-1", "us-ascii").encode("latin-1"))


def test_xml_encode_keeps_order_and_escapes() -> None:
    document = {"a": {"c": "<1> & 2", "b": ["x", "y"], "d": {"e": ""}}}
    assert xml.encode(document) == b"<a><c>&lt;1&gt; &amp; 2</c><b>x</b><b>y</b><d><e></e></d></a>"
