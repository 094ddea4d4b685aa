"""What is logged of a request: one line that is log record and metrics in one, and a record of an unforeseen fault.

The line has CloudWatch's embedded metric format by Powertools' Metrics, the record the form of Powertools' Logger.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from pushreg.codecs import json
from pushreg.config import Settings
from pushreg.errors import PushregError, StoreError


class RequestLog:
    """Writes the line of each request; no body, token, key or message of an error ever enters it.

    Safe to share between threads: Powertools serialises what it is given and keeps nothing of it.
    """

    def __init__(self, settings: Settings, emit: Callable[[str], None], epoch: Callable[[], float] = time.time) -> None:
        self._emit = emit
        self._epoch = epoch
        self._cold = True
        # CloudWatch bills each metric for each value of its dimensions: operation and outcome are for log queries.
        self._dimensions = {"service": settings.family}
        self._namespace = settings.namespace
        self._version = settings.function_version
        self._metrics = EphemeralMetrics(namespace=settings.namespace, service=settings.family)
        # The formatter alone: a second Logger of one service would write to the first one's stream.
        self._formatter = LambdaPowertoolsFormatter(service=settings.family, location=None, utc=True, use_rfc3339=True)

    def record(
        self,
        operation: str,
        outcome: str,
        status: int,
        milliseconds: float,
        calls: int,
        request_id: str,
        failure: Exception | None,
        key_id: str | None = None,
        tenant: str | None = None,
        trace_id: str | None = None,
    ) -> None:
        """Emit the line; `failure` adds its class and, if it is unforeseen, a record with the code lines it passed.

        `tenant` is the account, place or application of the request. It and `key_id` are no dimensions.
        """
        metadata: dict[str, Any] = {
            "operation": operation,
            "outcome": outcome,
            "status": status,
            "calls": calls,
            "request_id": request_id,
        }
        known = {"key_id": key_id, "tenant": tenant, "trace_id": trace_id}
        metadata |= {name: value for name, value in known.items() if value is not None}
        if failure is not None:
            metadata["error"] = type(failure).__name__
            if isinstance(failure, StoreError):
                metadata["store_code"] = failure.code
        metrics = {
            # Its sample count is the number of requests.
            "Latency": {"Unit": MetricUnit.Milliseconds.value, "Value": round(milliseconds, 3)},
            "ColdStart": _count(self._cold),
            # Not by the status: engagement may have to send 200 with every answer.
            "Faults": _count(outcome == "fault"),
            "Denied": _count(outcome == "denied"),
            "Contended": _count(outcome == "contended"),
            "Takeovers": _count(outcome == "takeover"),
            "Registrations": _count(outcome == "created"),
        }
        line: Any = self._metrics.serialize_metric_set(metrics, self._dimensions, metadata)
        line["_aws"]["Timestamp"] = int(self._epoch() * 1000)
        if outcome == "fault":
            # The alarm of a canary looks at the new version alone. Counted only when there is something to count, since
            # every version is one more metric.
            line["version"] = self._version
            line["_aws"]["CloudWatchMetrics"].append(
                {
                    "Namespace": self._namespace,
                    "Dimensions": [["service", "version"]],
                    "Metrics": [{"Name": "Faults", "Unit": MetricUnit.Count.value}],
                }
            )
        self._cold = False
        self._emit(json.encode(line).decode())
        if failure is not None and not isinstance(failure, PushregError):
            self._emit(self._describe(failure, request_id))

    def _describe(self, failure: Exception, request_id: str) -> str:
        # Frames only: the message of an unforeseen error may quote the caller's data.
        walk = traceback.walk_tb(failure.__traceback__)
        frames = traceback.StackSummary.extract(walk, lookup_lines=False)
        record = logging.makeLogRecord(
            {
                "name": __name__,
                "levelno": logging.ERROR,
                "levelname": "ERROR",
                "msg": "unforeseen error",
                "error": type(failure).__name__,
                "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
                "request_id": request_id,
            }
        )
        return self._formatter.format(record)


def _count(number: int) -> dict[str, Any]:
    return {"Unit": MetricUnit.Count.value, "Value": int(number)}
