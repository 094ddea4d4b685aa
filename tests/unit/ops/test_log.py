"""The line that the local stack prints for a function's log record."""

from __future__ import annotations

import json

from pushreg_local.log import format_request


def test_format_request_success_is_one_line() -> None:
    record = {
        "service": "places",
        "operation": "put",
        "status": 200,
        "outcome": "created",
        "Latency": 4.26,
        "calls": 2,
    }
    assert format_request(json.dumps(record)) == "places put 200 created  4.3 ms, database calls: 2"


def test_format_request_fault_shows_error_of_store() -> None:
    record = {
        "service": "kazoo",
        "operation": "get",
        "status": 503,
        "outcome": "fault",
        "Latency": 1,
        "calls": 1,
        "error": "StoreError",
        "store_code": "ThrottlingException",
    }
    assert format_request(json.dumps(record)).splitlines() == [
        "kazoo get 503 fault  1.0 ms, database calls: 1",
        "  StoreError ThrottlingException",
    ]


def test_format_request_error_without_request_shows_frames() -> None:
    record = {"level": "ERROR", "error": "KeyError", "frames": ["a.py:1 f", "b.py:2 g"]}
    assert format_request(json.dumps(record)).splitlines() == ["  KeyError", "  a.py:1 f", "  b.py:2 g"]


def test_format_request_non_json_is_unchanged() -> None:
    assert format_request("plain") == "plain"
