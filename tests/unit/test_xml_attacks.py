"""XML attacks on the codec are refused, with bounded memory."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from contextlib import suppress

import pytest

from pushreg.codecs import xml
from pushreg.errors import MalformedError
from pushreg.http import MAX_BODY

# A parse holds the body, its decoded text and a tree of at most a thousand elements.
MAX_PEAK = 2 * 1024 * 1024
_BOMB = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
_NAME = "a" * 1000
DOCUMENTS: dict[str, bytes] = {
    "billion laughs": f'<!DOCTYPE r [<!ENTITY e0 "lol">{_BOMB}]><r>&e9;</r>'.encode(),
    "quadratic blow-up": b'<!DOCTYPE r [<!ENTITY a "' + b"a" * 30000 + b'">]><r>' + b"&a;" * 10000 + b"</r>",
    "parameter entities": b"<!DOCTYPE r [<!ENTITY % a \"<!ENTITY b 'c'>\"> %a;]><r>&b;</r>",
    "external general entity": b'<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]><r>&a;</r>',
    "external parameter entity": b'<!DOCTYPE r [<!ENTITY % a SYSTEM "http://127.0.0.1:9/"> %a;]><r/>',
    "external DTD": b'<!DOCTYPE r SYSTEM "http://127.0.0.1:9/x.dtd"><r/>',
    "public DTD": b'<!DOCTYPE r PUBLIC "-//W3C//DTD XHTML 1.0//EN" "http://127.0.0.1:9/x.dtd"><r/>',
    "undeclared entity": b"<r>&nothing;</r>",
    "depth": b"<a>" * 20000,
    "depth, closed": b"<a>" * 9000 + b"</a>" * 9000,
    "elements": b"<r>" + b"<a/>" * 16000 + b"</r>",
    "attributes": b"<r " + b" ".join(b'a%d=""' % n for n in range(5000)) + b"/>",
    "one long attribute": b'<r a="' + b"x" * 65000 + b'"/>',
    "colliding attribute names": b"<r " + b" ".join(b'a%s="1"' % (b"0" * n) for n in range(300)) + b"/>",
    "namespaces": b"<r " + b" ".join(b'xmlns:a%d="u"' % n for n in range(3000)) + b"/>",
    "long names": f"<{_NAME}>".encode() * 60,
    "endless token": b"<" + b"a" * 65000,
    "endless comment": b"<r><!--" + b"-a" * 32000,
    "endless CDATA": b"<r><![CDATA[" + b"]" * 65000,
    "endless instruction": b"<r><?" + b"a " * 32000,
    "UTF-16": '<?xml version="1.0" encoding="UTF-16"?><r/>'.encode("utf-16"),
    "UTF-16 without a mark": "<r><a>1</a></r>".encode("utf-16-le"),
    "UTF-16 big endian without a mark": "<r><a>1</a></r>".encode("utf-16-be"),
    "UTF-32": "<r/>".encode("utf-32"),
    "UTF-16 that calls itself UTF-8": '<?xml version="1.0" encoding="UTF-8"?><r/>'.encode("utf-16"),
    "UTF-8 that calls itself UTF-16": b'<?xml version="1.0" encoding="UTF-16"?><r/>',
    "UTF-8 that calls itself UTF-7": b'<?xml version="1.0" encoding="UTF-7"?><r>+ADw-a+AD4-</r>',
    "Latin-1 that calls itself UTF-8": '<?xml version="1.0" encoding="UTF-8"?><r>é</r>'.encode("latin-1"),
    "unknown encoding": b'<?xml version="1.0" encoding="x-unknown"?><r/>',
    "overlong UTF-8": b"<r>\xc0\xbc</r>",
    "NUL": b"<r>\x00</r>",
    "reference to NUL": b"<r>&#0;</r>",
    "reference to half a character": b"<r>&#xD800;</r>",
    "two roots": b"<r/><r/>",
    "nothing": b"",
}
HARMLESS = {
    "instruction before": b"<?php echo 1 ?><r>1</r>",
    "style sheet": b'<?xml-stylesheet href="http://127.0.0.1:9/x.xsl"?><r>1</r>',
    "instruction inside": b"<r>1<?a b?></r>",
    "many instructions": b"<r>1" + b"<?a?>" * 12000 + b"</r>",
    "many comments": b"<r>1" + b"<!---->" * 9000 + b"</r>",
    "many CDATA sections": b"<r>" + b"<![CDATA[]]>" * 5000 + b"1</r>",
    "many references": b"<r>1" + b"&#32;" * 13000 + b"</r>",
    "long text": b"<r>1" + b" " * 65000 + b"</r>",
}


def measure(document: bytes) -> tuple[dict[str, object] | None, int]:
    """Return what the codec makes of the document, None for a refusal, and the most memory that it took."""
    tracemalloc.start()
    try:
        try:
            decoded: dict[str, object] | None = xml.decode(document)
        except MalformedError:
            decoded = None
        return decoded, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_xml_attack_is_refused_with_bounded_memory(name: str, record_property: Callable[[str, object], None]) -> None:
    document = DOCUMENTS[name]
    assert len(document) <= MAX_BODY
    decoded, peak = measure(document)
    record_property("peak_kb", peak // 1024)
    assert decoded is None
    assert peak < MAX_PEAK


@pytest.mark.parametrize("name", HARMLESS)
def test_xml_harmless_noise_is_ignored_with_bounded_memory(name: str) -> None:
    assert len(HARMLESS[name]) <= MAX_BODY
    decoded, peak = measure(HARMLESS[name])
    assert decoded == {"r": "1"}
    assert peak < MAX_PEAK


def test_xml_attacks_leak_no_memory() -> None:
    gc.collect()
    tracemalloc.start()
    try:
        before = 0
        for turn in range(4):
            for document in (*DOCUMENTS.values(), *HARMLESS.values()):
                try:
                    xml.decode(document)
                except MalformedError:
                    continue
            gc.collect()
            # The first turn fills caches of the interpreter.
            if turn == 0:
                before = tracemalloc.get_traced_memory()[0]
        assert tracemalloc.get_traced_memory()[0] - before < 64 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", [*DOCUMENTS, *HARMLESS])
def test_xml_decode_leaves_no_reference_cycle(name: str) -> None:
    # Frozen, what other tests left is neither searched nor counted.
    gc.freeze()
    gc.disable()
    try:
        with suppress(MalformedError):
            xml.decode({**DOCUMENTS, **HARMLESS}[name])
        assert gc.collect() == 0
    finally:
        gc.enable()
        gc.unfreeze()
