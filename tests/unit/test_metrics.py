from __future__ import annotations

import json
from typing import Any

import pytest

from pushreg.config import Settings
from pushreg.errors import ForbiddenError, StoreError
from pushreg.metrics import RequestLog

SETTINGS = Settings.from_environ(
    {
        "FAMILY": "places",
        "TABLE": "table",
        "DIRECTORY_TABLE": "directory",
        "METRICS_NAMESPACE": "Mine",
        "AWS_LAMBDA_FUNCTION_VERSION": "7",
    }
)


def emit(outcome: str = "found", status: int = 200, failure: Exception | None = None) -> list[dict[str, Any]]:
    lines: list[str] = []
    request_log = RequestLog(SETTINGS, lines.append, lambda: 1709209859.5)
    request_log.record("get", outcome, status, 12.3456, 2, "id-1", failure, "0123456789abcdef", "a-place", "1-5759e988")
    assert all("\n" not in line for line in lines)
    return [json.loads(line) for line in lines]


def record(outcome: str = "found", status: int = 200, failure: Exception | None = None) -> dict[str, Any]:
    (line,) = emit(outcome, status, failure)
    return line


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
        "Latency": 12.346,
        "ColdStart": 1,
        "Faults": 0,
        "Denied": 0,
        "Contended": 0,
        "Takeovers": 0,
        "Registrations": 0,
        "status": 200,
        "calls": 2,
        "request_id": "id-1",
        "key_id": "0123456789abcdef",
        "tenant": "a-place",
        "trace_id": "1-5759e988",
    }


def test_request_log_counts_faults_of_version() -> None:
    line = record("fault", 500)
    assert line["version"] == "7"
    shared, own = line["_aws"]["CloudWatchMetrics"]
    assert (shared["Dimensions"], own["Dimensions"]) == ([["service"]], [["service", "version"]])
    assert own["Namespace"] == "Mine"
    assert own["Metrics"] == [{"Name": "Faults", "Unit": "Count"}]
    # What did not fail adds no metric for its version.
    assert len(record()["_aws"]["CloudWatchMetrics"]) == 1


@pytest.mark.parametrize(
    ("outcome", "counted"), [("contended", "Contended"), ("takeover", "Takeovers"), ("created", "Registrations")]
)
def test_request_log_counts_outcome_without_fault(outcome: str, counted: str) -> None:
    line = record(outcome)
    assert [name for name in ("Faults", "Contended", "Takeovers", "Registrations") if line[name]] == [counted]


def test_request_log_keeps_key_and_tenant_out_of_dimensions() -> None:
    for directive in record("fault")["_aws"]["CloudWatchMetrics"]:
        names = {name for dimensions in directive["Dimensions"] for name in dimensions}
        assert names <= {"service", "version"}


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
        assert directive["Dimensions"] == [["service"]]


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


def test_request_log_unexpected_error_has_record_with_frames_without_message() -> None:
    line, fault = emit("fault", 500, raised(RuntimeError("hush")))
    assert line["error"] == fault["error"] == "RuntimeError"
    assert (fault["level"], fault["service"], fault["request_id"]) == ("ERROR", "places", "id-1")
    assert [frame.rpartition(" ")[2] for frame in fault["frames"]] == ["raised", "inner"]
    assert all("test_metrics.py:" in frame for frame in fault["frames"])
    assert "hush" not in json.dumps([line, fault])


def test_request_log_second_of_one_service_keeps_its_own_records() -> None:
    written: tuple[list[str], list[str]] = ([], [])
    for lines, request_id in zip(written, ("first", "second"), strict=True):
        RequestLog(SETTINGS, lines.append).record("get", "fault", 500, 1, 1, request_id, raised(RuntimeError()))
    assert [[json.loads(line)["request_id"] for line in lines] for lines in written] == [["first"] * 2, ["second"] * 2]
