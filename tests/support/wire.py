"""Hooks between the real client and the database: counts calls and injects errors."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

from botocore.awsrequest import AWSPreparedRequest, AWSResponse, create_request_object
from botocore.compat import HTTPHeaders
from botocore.httpsession import URLLib3Session
from botocore.model import OperationModel
from botocore.signers import RequestSigner

from pushreg.transport import OPERATIONS, Answer, parse

# What happens to a request: a response in place of the database's, None to let it pass, or an exception.
Fault = Callable[[AWSPreparedRequest], AWSResponse | None]


class Wire:
    """Listens on a client's events: no patching, and the transport's own parser reads what it injects."""

    def __init__(self, client: Any, transport: str) -> None:
        self.calls: list[str] = []
        self._faults: list[tuple[Fault, str | None, int]] = []
        self._lock = threading.Lock()
        if transport == "direct":
            for operation in OPERATIONS:
                client.meta.events.register_first(f"before-call.dynamodb.{operation}", self._call)
        else:
            client.meta.events.register_first("before-send.dynamodb", self._send)

    def fail(self, fault: Fault, operation: str | None = None, times: int = 1) -> None:
        """Let the next calls, or those of the operation, go wrong: first all of one fault, then those of the next."""
        self._faults.append((fault, operation, times))

    def fail_at(self, index: int, fault: Fault, times: int = 1) -> None:
        """Let the calls from the one with this index on go wrong, counted from now."""
        if index:
            self.fail(lambda _: None, times=index)
        self.fail(fault, times=times)

    def clear(self) -> None:
        """Forget the calls and the faults."""
        self.calls.clear()
        self._faults.clear()

    @property
    def pending(self) -> int:
        """How many of the faults asked for have not happened yet."""
        return sum(times for _, _, times in self._faults)

    def _call(
        self, model: OperationModel, params: dict[str, Any], request_signer: RequestSigner, **_: Any
    ) -> tuple[Answer, dict[str, Any]] | None:
        fault = self._count(model.name)
        if fault is None:
            return None
        request = create_request_object(params)
        request_signer.sign(model.name, request)
        response = fault(request.prepare())
        if response is None:
            return None
        headers: dict[str, str] = dict(response.headers.items())
        answer = Answer(response.status_code, headers, response.content)
        return answer, parse(answer, model)

    def _send(self, request: AWSPreparedRequest, event_name: str, **_: Any) -> AWSResponse | None:
        fault = self._count(event_name.rpartition(".")[2])
        response = fault(request) if fault is not None else None
        if response is not None:
            # moto listens too, and would carry out what has been answered; of this address it knows nothing.
            request.url = "http://127.0.0.1/answered"
        return response

    def _count(self, operation: str) -> Fault | None:
        with self._lock:
            self.calls.append(operation)
            return self._next(operation)

    def _next(self, operation: str) -> Fault | None:
        for index, (fault, wanted, times) in enumerate(self._faults):
            if wanted in (None, operation):
                self._faults[index : index + 1] = [(fault, wanted, times - 1)] if times > 1 else []
                return fault
        return None


def refuse(code: str, status: int = 400, **members: Any) -> Fault:
    """Return the fault of a database that answers with an error."""

    def answer(request: AWSPreparedRequest) -> AWSResponse:
        kind = f"com.amazonaws.dynamodb.v20120810#{code}"
        return _respond(request, status, {"__type": kind, "message": "as the test asked", **members})

    return answer


def reply(**members: Any) -> Fault:
    """Return the fault of a database that answers with success and these members."""
    return lambda request: _respond(request, 200, members)


def garble(request: AWSPreparedRequest) -> AWSResponse:
    """Answer as a gateway between does, which speaks no JSON."""
    return AWSResponse(request.url, 502, HTTPHeaders(), cast("Any", _Body(b"<html>")))


def leave_unprocessed(request: AWSPreparedRequest) -> AWSResponse:
    """Answer a BatchGetItem with none of its items."""
    sent = json.loads(cast("bytes", request.body))["RequestItems"]
    return _respond(request, 200, {"Responses": {table: [] for table in sent}, "UnprocessedKeys": sent})


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


def interpose(action: Callable[[], object]) -> Fault:
    """Return the fault of bad luck: something else happens first, and then the request goes on its way."""

    def act(request: AWSPreparedRequest) -> None:
        action()

    return act


def _respond(request: AWSPreparedRequest, status: int, members: dict[str, Any]) -> AWSResponse:
    return AWSResponse(request.url, status, HTTPHeaders(), cast("Any", _Body(json.dumps(members).encode())))


class _Body(io.BytesIO):
    """As much of urllib3's response as botocore reads."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()
