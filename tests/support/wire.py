"""The wire between the real client and its database, where calls are counted and go wrong on demand."""

from __future__ import annotations

import io
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.httpsession import URLLib3Session

WRITES = frozenset({"TransactWriteItems", "UpdateItem", "PutItem", "DeleteItem"})

# What happens to a request: a response in place of the database's, None to let it pass, or an exception.
Fault = Callable[[AWSPreparedRequest], AWSResponse | None]


class Wire:
    """Listens on a botocore client's events: no patching, and the client's own parser reads what it injects."""

    def __init__(self, client: Any) -> None:
        self.calls: Counter[str] = Counter()
        self._faults: dict[str, list[Fault]] = {}
        self._always: tuple[Fault, frozenset[str]] | None = None
        self._lock = threading.Lock()
        client.meta.events.register_first("before-send.dynamodb", self._send)

    def fail(self, operation: str, *faults: Fault) -> None:
        """Let the next calls of the operation go wrong, one fault each."""
        self._faults.setdefault(operation, []).extend(faults)

    def fail_always(self, fault: Fault, *operations: str) -> None:
        """Let every call go wrong in the same way, or those of the operations alone."""
        self._always = (fault, frozenset(operations))

    def clear(self) -> None:
        """Forget the faults and the count."""
        self.calls.clear()
        self._faults.clear()
        self._always = None

    @property
    def pending(self) -> dict[str, int]:
        """How many of the faults asked for have not happened yet."""
        return {operation: len(faults) for operation, faults in self._faults.items() if faults}

    @property
    def total(self) -> int:
        """How many calls went out."""
        return self.calls.total()

    def _send(self, request: AWSPreparedRequest, event_name: str, **_: Any) -> AWSResponse | None:
        operation = event_name.rpartition(".")[2]
        with self._lock:
            self.calls[operation] += 1
            faults = self._faults.get(operation)
            fault = faults.pop(0) if faults else None
        if fault is None and self._always is not None and (not self._always[1] or operation in self._always[1]):
            fault = self._always[0]
        return fault(request) if fault is not None else None


def refuse(code: str, status: int = 400, **members: Any) -> Fault:
    """Return the fault of a database that answers with an error."""

    def answer(request: AWSPreparedRequest) -> AWSResponse:
        kind = f"com.amazonaws.dynamodb.v20120810#{code}"
        return _respond(request, status, {"__type": kind, "message": "as the test asked", **members})

    return answer


def reply(**members: Any) -> Fault:
    """Return the fault of a database that answers with success and these members."""
    return lambda request: _respond(request, 200, members)


def cancel(*codes: str) -> Fault:
    """Return the fault of a cancelled transaction with these reasons."""
    reasons = [{"Code": code, "Message": "as the test asked"} for code in codes]
    return refuse("TransactionCanceledException", CancellationReasons=reasons)


def lose(error: Exception) -> Fault:
    """Return the fault of a request that never arrives."""

    def drop(request: AWSPreparedRequest) -> AWSResponse:
        raise error

    return drop


def lose_answer(error: Exception, meanwhile: Callable[[], object] = lambda: None) -> Fault:
    """Return the fault of a request that is carried out and whose answer gets lost; then something else happens."""

    def drop(request: AWSPreparedRequest) -> AWSResponse:
        session = URLLib3Session()
        try:
            session.send(request)
        finally:
            session.close()
        meanwhile()
        raise error

    return drop


def _respond(request: AWSPreparedRequest, status: int, members: dict[str, Any]) -> AWSResponse:
    body: Any = _Body(json.dumps(members).encode())
    return AWSResponse(request.url, status, HTTPHeaders(), body)


class _Body(io.BytesIO):
    """As much of urllib3's response as botocore reads."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()
