"""Network and database faults, and how DynamoDB words them."""

from __future__ import annotations

import json
from enum import StrEnum
from random import Random
from typing import Any, NamedTuple

_ERRORS = "com.amazonaws.dynamodb.v20120810#"


class Fault(StrEnum):
    """What happens to a request; `lost` means that it was carried out and the answer went missing."""

    THROTTLED = "ProvisionedThroughputExceededException"
    LIMITED = "ThrottlingException"
    FAILED = "HTTP 500"
    FAILED_LATE = "HTTP 500, lost"
    CUT = "connection reset"
    CUT_LATE = "connection reset, lost"
    REFUSED = "connection refused"
    SILENT = "no answer"
    SILENT_LATE = "no answer, lost"
    CONFLICT = "TransactionConflict"
    UNPROCESSED = "UnprocessedKeys"
    SLOW = "slow answer"


# Silences cost the client its whole patience, so they come seldom.
_ALWAYS = {
    Fault.THROTTLED: 8,
    Fault.LIMITED: 4,
    Fault.FAILED: 6,
    Fault.FAILED_LATE: 6,
    Fault.CUT: 8,
    Fault.CUT_LATE: 12,
    Fault.REFUSED: 4,
    Fault.SILENT: 1,
    Fault.SILENT_LATE: 1,
    Fault.SLOW: 8,
}
_WEIGHTS: dict[str, dict[Fault, int]] = {
    "TransactWriteItems": {**_ALWAYS, Fault.CONFLICT: 12},
    "TransactGetItems": {**_ALWAYS, Fault.CONFLICT: 12},
    "BatchGetItem": {**_ALWAYS, Fault.UNPROCESSED: 12},
}


class Message(NamedTuple):
    """A request or an answer as it stands on the wire."""

    head: bytes
    body: bytes

    def find(self, name: str) -> str:
        """Return a header's value, or nothing."""
        for line in self.head.decode("latin-1").split("\r\n"):
            key, _, value = line.partition(":")
            if key.lower() == name:
                return value.strip()
        return ""


def choose(operation: str, random: Random) -> Fault:
    """Return one of the faults that can befall the operation."""
    weights = _WEIGHTS.get(operation, _ALWAYS)
    return random.choices(list(weights), list(weights.values()))[0]


def invent(fault: Fault | None, request: Message) -> Message | None:
    """Return the answer that DynamoDB would give in its own name, if the fault is one of those."""
    match fault:
        case Fault.THROTTLED | Fault.LIMITED:
            return _answer(400, {"__type": _ERRORS + fault, "message": "Slow down"})
        case Fault.FAILED | Fault.FAILED_LATE:
            return _answer(500, {"__type": _ERRORS + "InternalServerError", "message": "The request failed"})
        case Fault.CONFLICT:
            conflict = {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}
            others = [{"Code": "None"}] * (len(json.loads(request.body)["TransactItems"]) - 1)
            type_ = _ERRORS + "TransactionCanceledException"
            return _answer(400, {"__type": type_, "Message": "cancelled", "CancellationReasons": [*others, conflict]})
        case Fault.UNPROCESSED:
            return _answer(200, {"Responses": {}, "UnprocessedKeys": json.loads(request.body)["RequestItems"]})
    return None


def _answer(status: int, members: dict[str, Any]) -> Message:
    body = json.dumps(members).encode()
    head = (
        f"HTTP/1.1 {status} Status\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return Message(head.encode(), body)
