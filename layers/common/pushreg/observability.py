"""One structured line per request: a log record for people and, in CloudWatch's embedded metric format, the metrics."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from pushreg.config import Settings
from pushreg.errors import PushregError, StoreError


class Journal:
    """Writes the line of each request; no body, token, key or message of an error ever enters it."""

    def __init__(self, settings: Settings, emit: Callable[[str], None]) -> None:
        self._settings = settings
        self._emit = emit
        self._cold = True

    def record(
        self,
        operation: str,
        outcome: str,
        status: int,
        milliseconds: float,
        calls: int,
        request_id: str,
        failure: Exception | None,
    ) -> None:
        """Emit the line; `failure` adds its class and, where it is our own fault, the code lines it passed through."""
        family = self._settings.family
        # A provider of its own for each request: the shared Metrics object would mix concurrent local requests.
        metrics = AmazonCloudWatchEMFProvider(
            namespace=self._settings.namespace,
            service=family,
            dimension_set={"service": family, "operation": operation, "outcome": outcome},
        )
        metrics.add_dimensions(service=family)
        metrics.add_metric("Requests", MetricUnit.Count, 1)
        metrics.add_metric("Latency", MetricUnit.Milliseconds, round(milliseconds, 3))
        metrics.add_metric("DatabaseCalls", MetricUnit.Count, calls)
        if self._cold:
            metrics.add_metric("ColdStart", MetricUnit.Count, 1)
        if status >= 500:
            metrics.add_metric("Faults", MetricUnit.Count, 1)
        if outcome == "denied":
            metrics.add_metric("Denied", MetricUnit.Count, 1)
        line: dict[str, object] = {
            **metrics.serialize_metric_set(),
            "request_id": request_id,
            "family": family,
            "status": status,
            "duration_ms": round(milliseconds, 3),
            "database_calls": calls,
            "cold_start": self._cold,
        }
        if failure is not None:
            line["error"] = type(failure).__name__
            if isinstance(failure, StoreError):
                line["store_code"] = failure.code
            elif not isinstance(failure, PushregError):
                # Frames only: the message of an unforeseen error may quote the caller's data.
                walk = traceback.walk_tb(failure.__traceback__)
                frames = traceback.StackSummary.extract(walk, lookup_lines=False)
                line["frames"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        self._cold = False
        self._emit(json.dumps(line, separators=(",", ":")))
