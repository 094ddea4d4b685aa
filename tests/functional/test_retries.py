"""Errors and timeouts of the database: transient ones are retried, lasting ones become the family's store error."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from pushreg.dynamodb import MAX_DELAY
from pushreg.http import MAX_CALLS, TIME_LIMIT
from pushreg.schema import DEVICES, PLACES, SUBSCRIBERS
from tests.support.calls import Reply
from tests.support.gateway import Gateway
from tests.support.scenarios import SCENARIOS, Api, Scenario, tell, warm_up
from tests.support.stored import Stored
from tests.support.time import Time
from tests.support.wire import Fault, Wire, cancel, garble, leave_unprocessed, lose, refuse

DATA = (DEVICES, SUBSCRIBERS, PLACES)
PASSING = {
    "throttled table": refuse("ProvisionedThroughputExceededException"),
    "throttled account": refuse("RequestLimitExceeded"),
    "throttled": refuse("ThrottlingException"),
    "server error": refuse("InternalServerError", 500),
    "unavailable": refuse("ServiceUnavailable", 503),
    "nonsense": garble,
    "stalled": lose(ReadTimeoutError(endpoint_url="test")),
    "unreachable": lose(ConnectTimeoutError(endpoint_url="test")),
    "refused": lose(EndpointConnectionError(endpoint_url="test")),
    "cut off": lose(ConnectionClosedError(endpoint_url="test")),
}
PASSING_IN_TRANSACTIONS = {
    "conflict": cancel("None", "TransactionConflict"),
    "conflicting read": refuse("TransactionConflictException"),
    "throttled transaction": cancel("ThrottlingError"),
    "still at it": refuse("TransactionInProgressException"),
}
LASTING = {
    "denied": refuse("AccessDeniedException"),
    "no table": refuse("ResourceNotFoundException"),
    "our own mistake": refuse("ValidationException"),
    "unknown key": refuse("UnrecognizedClientException"),
    "no key": lose(NoCredentialsError()),
}


def assert_failed(family: str, reply: Reply) -> None:
    """Assert the family's own form of store trouble."""
    if family == "kazoo":
        assert reply.status == 503
        assert reply.json["data"] == {"message": "datastore timeout"}
        assert (reply.json["error"], reply.json["message"]) == ("503", "datastore_unreachable")
    elif family == "engagement":
        message = "Server failed to process the request."
        assert reply.status == 500
        assert reply.json == {"subscriptionResponse": {"statusCode": "500", "ksid": "-1", "message": message}}
    elif family == "modern":
        assert reply.status == 500
        assert reply.json["id"] == ""
        assert reply.json["message"] in (
            "Server failure to process request",
            "Failed to update subscriber status",
            "Failed to delete the subscriber",
        )
    elif family == "senders":
        assert reply.status == 503
        assert reply.json == {"error": "Service Unavailable", "message": "Database error, try again"}
    else:
        assert reply.status == 500
        assert reply.json == {"error": "Internal Server Error", "message": "Database error"}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_transient_error_is_retried(fault: Fault, client: Any, wire: Wire, empty: Stored, time: Time) -> None:
    api = Api.over(Gateway(client, **time.options()).send)
    for operation in ("BatchGetItem", "UpdateItem", "TransactWriteItems"):
        wire.fail(fault, operation, 2)
    assert api.places.put("token").status == 200
    assert wire.pending == 0
    assert len(time.delays) == 6
    assert len(empty.settled(PLACES)) == 1


@pytest.mark.parametrize("fault", PASSING_IN_TRANSACTIONS.values(), ids=PASSING_IN_TRANSACTIONS)
def test_transaction_conflict_is_retried(fault: Fault, client: Any, wire: Wire, empty: Stored, time: Time) -> None:
    api = Api.over(Gateway(client, **time.options()).send)
    wire.fail(fault, "TransactWriteItems", 2)
    assert api.kazoo.put("desk", "phone").status == 201
    assert wire.pending == 0
    assert len(empty.settled(DEVICES)) == 2
    api.engagement.subscribe("phone", "sid")
    api.engagement.subscribe("other-phone", "other-sid")
    wire.fail(fault, "TransactGetItems", 2)
    assert api.engagement.subscribe("phone", "other-sid").status == 403
    assert wire.pending == 0


@pytest.mark.parametrize("fault", LASTING.values(), ids=LASTING)
def test_permanent_error_is_not_retried(fault: Fault, client: Any, wire: Wire, empty: Stored, time: Time) -> None:
    for index in range(3):
        api = Api.over(Gateway(client, **time.options()).send)
        wire.clear()
        wire.fail_at(index, fault, 1000)
        assert_failed("places", api.places.put("token"))
        assert len(wire.calls) == index + 1
    assert time.delays == []
    assert empty.items(PLACES) == []


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_transient_error_at_any_call_does_not_change_answer(
    scenario: Scenario, client: Any, wire: Wire, empty: Stored, time: Time
) -> None:
    api = Api.over(Gateway(client, **time.options()).send)
    warm_up(api)
    prepared = scenario.prepare(api)
    wire.clear()
    undisturbed = tell(scenario.call(api, prepared), empty)
    assert undisturbed[0] == scenario.status
    for index in range(scenario.calls):
        for name in ("throttled", "stalled"):
            empty.clear(*DATA)
            prepared = scenario.prepare(api)
            wire.clear()
            wire.fail_at(index, PASSING[name], 2)
            assert tell(scenario.call(api, prepared), empty) == undisturbed, (index, name)
            assert wire.pending == 0


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_undisturbed_request_never_pauses(scenario: Scenario, client: Any, empty: Stored, time: Time) -> None:
    api = Api.over(Gateway(client, **time.options()).send)
    prepared = scenario.prepare(api)
    time.delays.clear()
    assert scenario.call(api, prepared).status == scenario.status
    assert time.delays == []


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_lasting_error_at_any_call_returns_store_error_without_change(
    scenario: Scenario, client: Any, wire: Wire, empty: Stored, time: Time
) -> None:
    prepared = scenario.prepare(Api.over(Gateway(client, **time.options()).send))
    before = [empty.settled(table) for table in DATA]
    for index in range(scenario.cold):
        for fault in (PASSING["throttled"], PASSING["refused"], LASTING["our own mistake"]):
            # Functions that know nothing yet, so that the directory's part is put to the test too.
            api = Api.over(Gateway(client, **time.options()).send)
            wire.clear()
            wire.fail_at(index, fault, 1000)
            time.delays.clear()
            reply = scenario.call(api, prepared)
            is_partial = scenario.cursor is not None and index == scenario.cold - 1
            if is_partial:
                assert reply.status == 200
                assert reply.json["cursor"].startswith(scenario.cursor)
            else:
                assert_failed(scenario.family, reply)
            # The calls of the part that was read do not count against those of the next.
            assert len(wire.calls) <= MAX_CALLS + is_partial
            assert max(time.delays, default=0) <= MAX_DELAY
            assert sum(time.delays) <= TIME_LIMIT
    assert [empty.settled(table) for table in DATA] == before


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_unresponsive_database_returns_store_error_within_deadline(
    scenario: Scenario, client: Any, wire: Wire, empty: Stored, time: Time
) -> None:
    api = Api.over(Gateway(client, **time.options()).send)
    prepared = scenario.prepare(api)
    started = time.passed
    wire.fail(time.stall, times=1000)
    assert_failed(scenario.family, scenario.call(api, prepared))
    # The last call begins within the limit and stalls for a second.
    assert time.passed - started <= TIME_LIMIT + 1


def test_unprocessed_keys_are_retried(client: Any, wire: Wire, empty: Stored, time: Time) -> None:
    api = Api.over(Gateway(client, **time.options()).send)
    wire.fail(leave_unprocessed, "BatchGetItem", 3)
    assert api.kazoo.put("desk", "phone").status == 201
    assert len(time.delays) == 3
    assert wire.calls == ["BatchGetItem"] * 4 + ["TransactWriteItems"]
    wire.fail(leave_unprocessed, "BatchGetItem", 3)
    assert api.engagement.subscribe("phone", "sid").status == 200


def test_unprocessed_keys_that_persist_return_store_error(client: Any, wire: Wire, empty: Stored, time: Time) -> None:
    api = Api.over(Gateway(client, **time.options()).send)
    wire.fail(leave_unprocessed, "BatchGetItem", 1000)
    assert_failed("places", api.places.put("token"))
    assert_failed("engagement", api.engagement.subscribe("phone", "sid"))
    assert len(wire.calls) <= 2 * MAX_CALLS
    assert empty.items(PLACES) == empty.items(SUBSCRIBERS) == []
