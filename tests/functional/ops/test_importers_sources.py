"""Rows read from files and from another server's listing."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pushreg_local.errors import OperatorError
from pushreg_ops.migrate.listing import RETRIES, ListingSource
from pushreg_ops.migrate.sources import FileSource, Source

ROWS = [{"id": str(number), "doc": {"n": number, "deep": {"rows": [1, 2]}}} for number in range(5)]
DUMP = {"total_rows": 5, "offset": 0, "rows": ROWS}


def contents(source: Source, skip: int = 0) -> list[Any]:
    return [row.content for row in source.read(skip)]


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def couchdb(rows: list[Any]) -> str:
    """A dump as CouchDB writes it: a row on each line."""
    lines = ",\r\n".join(json.dumps(row) for row in rows)
    return f'{{"total_rows":{len(rows)},"offset":0,"rows":[\r\n{lines}\r\n]}}\n'


@pytest.mark.parametrize(
    "text",
    [
        couchdb(ROWS),
        json.dumps(DUMP),
        json.dumps(DUMP, indent=2),
        json.dumps(DUMP) + "\n" + json.dumps({"rows": []}),
        "".join(json.dumps(row) + "\n" for row in ROWS),
        "".join(json.dumps(row) + "\r\n\r\n" for row in ROWS),
    ],
    ids=["couchdb", "one line", "indented", "two documents", "lines", "blank lines"],
)
@pytest.mark.parametrize("skip", [0, 1, 4, 5])
def test_source_dump_is_read_in_every_layout(tmp_path: Path, text: str, skip: int) -> None:
    source = FileSource([write(tmp_path / "dump.json", text)], "rows")
    assert contents(source, skip) == ROWS[skip:]


def test_source_large_integer_keeps_all_digits(tmp_path: Path) -> None:
    page = write(tmp_path / "page.json", '{"total":1,"subscribers":[{"ksid":4927562634448402413,"x":1.5}]}')
    ((row),) = contents(FileSource([page], "subscribers"))
    assert row["ksid"] == 4927562634448402413


@pytest.mark.parametrize("number", ["9" * 4301, "-" + "9" * 200_000, "1e99999999999999999999999"])
def test_source_number_that_python_does_not_read_is_refused(tmp_path: Path, number: str) -> None:
    page = write(tmp_path / "page.json", f'{{"total":1,"subscribers":[{{"ksid":{number}}}]}}')
    with pytest.raises(OperatorError, match=r"page\.json .* near byte"):
        contents(FileSource([page], "subscribers"))


def test_source_several_files_are_read_in_order(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{name}.json", couchdb(ROWS[start : start + 2])) for name, start in (("a", 0), ("b", 2))]
    source = FileSource(paths, "rows")
    assert contents(source) == ROWS[:4]
    assert contents(source, 3) == ROWS[3:4]
    positions = [row.position for row in source.read(0)]
    assert positions == sorted(positions)
    assert positions[-1] == source.size


def test_source_truncated_file_yields_rows_then_raises(tmp_path: Path) -> None:
    source = FileSource([write(tmp_path / "dump.json", json.dumps(DUMP, indent=1)[:-40])], "rows")
    found = []
    with pytest.raises(OperatorError, match=r"dump\.json is broken or cut off"):
        found.extend(contents(source))
    assert found == []
    rows = source.read(0)
    assert next(rows).content == ROWS[0]


def test_source_invalid_json_line_is_faulty_row(tmp_path: Path) -> None:
    source = FileSource([write(tmp_path / "lines.jsonl", '{"a":1}\n{"a":\n{"a":3}\n')])
    assert [(row.content, row.fault is None) for row in source.read(0)] == [
        ({"a": 1}, True),
        ('{"a":', False),
        ({"a": 3}, True),
    ]


@pytest.mark.parametrize(
    ("name", "content", "remedy"),
    [
        ("a.jsonl", json.dumps(ROWS).encode(), "jq -c '.[]'"),
        ("a.jsonl", json.dumps(ROWS, indent=2).encode(), "jq -c '.[]'"),
        ("a.jsonl", json.dumps(ROWS[0], indent=2).encode("utf-8-sig"), "jq -c ."),
        ("a.jsonl", '{"a":1}\n'.encode("utf-16"), "iconv -f UTF-16"),
        ("a.csv", "place_id,device_token\n".encode("utf-16"), "iconv -f UTF-16"),
        ("a.csv", b"place_id;device_token\np1;t1\n", "place_id,device_token"),
        ("a.csv", b"p1,t1\n", "place_id,device_token"),
        ("a.csv", b"Place_ID,Device_Token\np1,t1\n", "place_id,device_token"),
    ],
)
def test_source_in_other_form_is_refused_with_remedy(tmp_path: Path, name: str, content: bytes, remedy: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OperatorError, match=re.escape(remedy)):
        contents(FileSource([tmp_path / name]))


def test_source_endless_line_is_refused(tmp_path: Path) -> None:
    source = FileSource([write(tmp_path / "lines.jsonl", "x" * 2_000_000)])
    with pytest.raises(OperatorError, match="neither JSON Lines"):
        contents(source)


def test_source_csv_is_read_by_column_names(tmp_path: Path) -> None:
    text = '\ufeffplace_id,device_token\r\np1,"t,1"\r\np2,t2,extra\r\n\r\np3,"t\n3"\r\n'
    source = FileSource([write(tmp_path / "tokens.csv", text)])
    rows = list(source.read(0))
    assert [row.content for row in rows] == [
        {"place_id": "p1", "device_token": "t,1"},
        {"place_id": "p2", "device_token": "t2"},
        {"place_id": "p3", "device_token": "t\n3"},
    ]
    assert [row.fault for row in rows] == [None, "more fields than the header names", None]
    assert [row.content["place_id"] for row in source.read(2)] == ["p3"]


def test_source_csv_in_other_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokens.csv"
    path.write_bytes("place_id,device_token\np1,t\xe9\n".encode("latin-1"))
    with pytest.raises(OperatorError, match="UTF-8"):
        contents(FileSource([path]))


def test_source_missing_file_is_named() -> None:
    with pytest.raises(OperatorError, match=r"nowhere\.json cannot be read: No such file"):
        FileSource([Path("nowhere.json")])


def test_source_fingerprint_changes_with_content(tmp_path: Path) -> None:
    path = write(tmp_path / "dump.json", couchdb(ROWS))
    before = FileSource([path]).fingerprint
    assert FileSource([path]).fingerprint == before
    write(path, couchdb(ROWS[:4]))
    assert FileSource([path]).fingerprint != before


class Listing:
    """Another server's listing, and what it was asked."""

    def __init__(self, total: int, surplus: int = 0, status: int = 200, failures: int = 0) -> None:
        self.rows = [{"ksid": number} for number in range(total)]
        self.surplus = surplus
        self.status = status
        self.failures = failures
        self.asked: list[dict[str, str]] = []
        self.secrets: list[str | None] = []

    def answer(self, path: str, secret: str | None) -> tuple[int, bytes]:
        query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        self.asked.append(query)
        self.secrets.append(secret)
        if self.failures:
            self.failures -= 1
            return 503, b"later"
        start, size = int(query["start"]), int(query["pageSize"]) + self.surplus
        page = {"total": len(self.rows), "subscribers": self.rows[start : start + size]}
        return self.status, json.dumps(page).encode()


@contextmanager
def serve(listing: Listing) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = listing.answer(self.path, self.headers.get("X-VoltMX-App-API-Key"))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api/v1/subscribers"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("surplus", [0, 1], ids=["pages of pageSize", "pages of one more"])
@pytest.mark.parametrize("skip", [0, 3])
def test_source_listing_is_fetched_page_by_page(surplus: int, skip: int) -> None:
    listing = Listing(7, surplus)
    with serve(listing) as address:
        source = ListingSource(f"{address}?appId=demo-app", {"X-VoltMX-App-API-Key": "secret"}, 2)
        assert contents(source, skip) == listing.rows[skip:]
    assert listing.asked[0] == {"appId": "demo-app", "start": str(skip), "pageSize": "2"}
    assert set(listing.secrets) == {"secret"}
    assert source.name == address


def test_source_busy_server_is_retried() -> None:
    listing = Listing(3, failures=2)
    with serve(listing) as address:
        assert contents(ListingSource(address, {}, 10, RETRIES.new(backoff_factor=0))) == listing.rows


@pytest.mark.parametrize(("status", "wanted"), [(401, "--header"), (404, "answers 404"), (302, "answers 302")])
def test_source_server_error_is_reported(status: int, wanted: str) -> None:
    with serve(Listing(3, status=status)) as address, pytest.raises(OperatorError, match=wanted):
        contents(ListingSource(address, {}, 10))


def test_source_response_without_listing_is_refused() -> None:
    listing = Listing(0)
    listing.answer = lambda path, secret: (200, b"<html>")  # type: ignore[method-assign]
    with serve(listing) as address, pytest.raises(OperatorError, match="did not send JSON"):
        contents(ListingSource(address, {}, 10))


@pytest.mark.parametrize("address", ["ftp://example.com/", "https://[::1/x", "https://example.com:99999/", "http://"])
def test_source_address_that_is_no_url_is_refused(address: str) -> None:
    with pytest.raises(OperatorError, match="not a URL"):
        ListingSource(address, {}, 10)


def test_source_server_that_does_not_answer_is_explained() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/x"
        source = ListingSource(f"{address}?key=secret", {}, 10, RETRIES.new(total=0))
        with pytest.raises(OperatorError, match=rf"^{address} cannot be reached: [^(]*Connection refused$"):
            contents(source)
