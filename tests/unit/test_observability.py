from __future__ import annotations

import json
from typing import Any

import pytest

from pushreg.config import Settings
from pushreg.errors import ForbiddenError, StoreError
from pushreg.metrics import RequestLog

SETTINGS = Settings.from_environ(
    {"FAMILY": "places", "TABLE": "table", "DIRECTORY_TABLE": "directory", "METRICS_NAMESPACE": "Mine"}
)


def record(outcome: str = "found", status: int = 200, failure: Exception | None = None) -> dict[str, Any]:
    lines: list[str] = []
    RequestLog(SETTINGS, lines.append, lambda: 1709209859.5).record("get", outcome, status, 12.3456, 2, "id-1", failure)
    (line,) = lines
    assert "\n" not in line
    parsed: dict[str, Any] = json.loads(line)
    return parsed


def raised(error: Exception) -> Exception:
    """Return the error as it is once it has been raised through some code."""

    def inner(secret: str) -> None:
        raise error

    try:
        inner("hush")
    except Exception as caught:  # noqa: BLE001 Any.
        return caught
    raise AssertionError


def test_request_log_line_has_outcome_and_cost() -> None:
    line = record()
    assert line.pop("_aws")["Timestamp"] == 1709209859500
    assert line == {
        "service": "places",
        "operation": "get",
        "outcome": "found",
        "Requests": 1,
        "Latency": 12.346,
        "DatabaseCalls": 2,
        "ColdStart": 1,
        "Faults": 0,
        "Denied": 0,
        "status": 200,
        "request_id": "id-1",
    }


def test_request_log_line_contains_every_emf_metric_and_dimension() -> None:
    line = record()
    directives = line["_aws"]["CloudWatchMetrics"]
    for directive in directives:
        assert directive["Namespace"] == "Mine"
        # CloudWatch takes at most 30 dimensions, each a string of the line, and numbers for metrics.
        for dimensions in directive["Dimensions"]:
            assert all(isinstance(line[name], str) for name in dimensions)
        for metric in directive["Metrics"]:
            assert type(line[metric["Name"]]) in (int, float)
    assert ["service", "operation", "outcome"] in directives[0]["Dimensions"]


@pytest.mark.parametrize(
    ("outcome", "status", "faults", "denied"),
    [("fault", 503, 1, 0), ("fault", 500, 1, 0), ("denied", 401, 0, 1), ("missing", 404, 0, 0), ("fault", 200, 1, 0)],
)
def test_request_log_counts_faults_and_denied(outcome: str, status: int, faults: int, denied: int) -> None:
    line = record(outcome, status)
    assert (line["Faults"], line["Denied"]) == (faults, denied)


def test_request_log_marks_only_first_line_as_cold_start() -> None:
    lines: list[str] = []
    request_log = RequestLog(SETTINGS, lines.append)
    for _ in range(3):
        request_log.record("get", "found", 200, 1, 1, "id-1", None)
    assert [json.loads(line)["ColdStart"] for line in lines] == [1, 0, 0]


def test_request_log_store_error_has_store_code() -> None:
    line = record("fault", 503, raised(StoreError("ThrottlingException")))
    assert (line["error"], line["store_code"]) == ("StoreError", "ThrottlingException")
    assert "frames" not in line


def test_request_log_client_error_has_no_frames() -> None:
    line = record("denied", 403, raised(ForbiddenError("hush")))
    assert line["error"] == "ForbiddenError"
    assert "frames" not in line
    assert "hush" not in json.dumps(line)


def test_request_log_unexpected_error_has_frames_without_message() -> None:
    line = record("fault", 500, raised(RuntimeError("hush")))
    assert line["error"] == "RuntimeError"
    assert [frame.rpartition(" ")[2] for frame in line["frames"]] == ["raised", "inner"]
    assert all("test_observability.py:" in frame for frame in line["frames"])
    assert "hush" not in json.dumps(line)
