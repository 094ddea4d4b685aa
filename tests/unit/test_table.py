from __future__ import annotations

import math
import random
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from hypothesis import given
from hypothesis import strategies as st

from pushreg.dynamodb import (
    MAX_ATTEMPTS,
    MAX_DELAY,
    MAX_PAUSE,
    MAX_REFUSALS,
    Session,
    delete,
    from_attributes,
    put,
    to_attributes,
    update,
)
from pushreg.errors import ConditionFailedError, ContendedError, StoreError
from tests.support.clients import ReadOnlyClient, ScriptedClient
from tests.support.time import Time

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
ITEMS = st.dictionaries(
    TEXT, TEXT | st.booleans() | st.integers(-(10**37), 10**37) | st.frozensets(TEXT, min_size=1), max_size=5
)


def error(code: str, status: int = 400, **members: Any) -> ClientError:
    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}, **members}
    return ClientError(response, "Test")


def cancelled(*reasons: dict[str, Any]) -> ClientError:
    return error("TransactionCanceledException", CancellationReasons=list(reasons))


def session(
    client: ScriptedClient | ReadOnlyClient, time: Time, limit: float = 8.0, max_calls: float = math.inf
) -> Session:
    return Session(client.client, limit, lambda: time.passed, time.sleep, max_calls)


@pytest.fixture
def time() -> Time:
    return Time()


@given(ITEMS)
def test_item_attributes_round_trip(item: dict[str, Any]) -> None:
    read = from_attributes(to_attributes(item))
    assert read == item
    assert {name: type(value) for name, value in read.items()} == {name: type(value) for name, value in item.items()}


def test_to_attributes_drops_none() -> None:
    assert to_attributes({"a": None, "b": ""}) == {"b": {"S": ""}}


def test_to_attributes_sorts_sets() -> None:
    assert to_attributes({"a": frozenset("zxy")}) == {"a": {"SS": ["x", "y", "z"]}}


def test_write_builders_produce_dynamodb_parameters() -> None:
    assert put("t", {"k": "v"}) == {"Put": {"TableName": "t", "Item": {"k": {"S": "v"}}}}
    assert put("t", {"k": "v"}, "n = :n", n=1) == {
        "Put": {
            "TableName": "t",
            "Item": {"k": {"S": "v"}},
            "ConditionExpression": "n = :n",
            "ExpressionAttributeValues": {":n": {"N": "1"}},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }
    assert update("t", {"k": "v"}, "SET n = :n", "n < :n", n=1)["Update"]["UpdateExpression"] == "SET n = :n"
    assert delete("t", {"k": "v"}, "n = :n", n=True)["Delete"]["ExpressionAttributeValues"] == {":n": {"BOOL": True}}


def test_session_reads_are_strongly_consistent(time: Time) -> None:
    client = ScriptedClient({}, {"Responses": {}}, {"Responses": [{}]})
    reader = session(client, time)
    assert reader.get("t", {"k": "v"}) is None
    assert reader.get_many("t", [{"k": "v"}]) == [None]
    assert reader.get_snapshot("t", [{"k": "v"}]) == [None]
    (_, get), (_, batch), (operation, _) = client.asked
    assert get["ConsistentRead"] is batch["RequestItems"]["t"]["ConsistentRead"] is True
    assert operation == "transact_get_items"
    assert reader.calls == 3


def test_session_get_many_returns_items_in_key_order(time: Time) -> None:
    items = [{"record": name, "n": n} for n, name in enumerate("abc")]
    reader = session(ReadOnlyClient(items), time)
    keys = [{"record": name} for name in "cxab"]
    assert reader.get_many("t", keys) == [items[2], None, items[0], items[1]]


def test_session_get_many_retries_unprocessed_keys(time: Time) -> None:
    first, second = ({"record": {"S": name}} for name in "ab")
    client = ScriptedClient(
        {"Responses": {"t": [second]}, "UnprocessedKeys": {"t": {"Keys": [first]}}},
        {"Responses": {"t": []}, "UnprocessedKeys": {"t": {"Keys": [first]}}},
        {"Responses": {"t": [first]}, "UnprocessedKeys": {}},
    )
    found = session(client, time).get_many("t", [{"record": "a"}, {"record": "b"}])
    assert found == [{"record": "a"}, {"record": "b"}]
    assert [parameters["RequestItems"]["t"]["Keys"] for _, parameters in client.asked] == [
        [first, second],
        [first],
        [first],
    ]
    assert len(time.delays) == 2


@pytest.mark.parametrize(
    "passing",
    [
        error("ThrottlingException"),
        error("ProvisionedThroughputExceededException"),
        error("TransactionConflictException"),
        error("TransactionInProgressException"),
        error("InternalServerError", 500),
        error("SomethingNew", 503),
        error("", 502),
        cancelled({"Code": "None"}, {"Code": "TransactionConflict"}),
        cancelled({"Code": "ThrottlingError"}, {"Code": "None"}),
        cancelled({"Code": "ProvisionedThroughputExceeded"}),
        ReadTimeoutError(endpoint_url="test"),
        ConnectTimeoutError(endpoint_url="test"),
        EndpointConnectionError(endpoint_url="test"),
    ],
    ids=str,
)
def test_session_transient_error_retries_identical_call(passing: Exception, time: Time) -> None:
    client = ScriptedClient(passing, passing, {})
    writer = session(client, time)
    writer.transact([put("t", {"k": "v"})], "token")
    assert writer.calls == 3
    assert client.asked == [client.asked[0]] * 3
    assert client.asked[0][1]["ClientRequestToken"] == "token"


@pytest.mark.parametrize(
    ("lasting", "code"),
    [
        (error("ValidationException"), "ValidationException"),
        (error("AccessDeniedException"), "AccessDeniedException"),
        (error("ResourceNotFoundException"), "ResourceNotFoundException"),
        (error("IdempotentParameterMismatchException"), "IdempotentParameterMismatchException"),
        (error("TransactionCanceledException"), "TransactionCanceledException"),
        (cancelled({"Code": "None"}, {"Code": "ValidationError"}), "ValidationError"),
        (cancelled({"Code": "ItemCollectionSizeLimitExceeded"}), "ItemCollectionSizeLimitExceeded"),
        (NoCredentialsError(), "NoCredentialsError"),
    ],
)
def test_session_permanent_error_is_not_retried(lasting: Exception, code: str, time: Time) -> None:
    client = ScriptedClient(lasting)
    with pytest.raises(StoreError) as caught:
        session(client, time).transact([], "token")
    assert caught.value.code == code
    assert len(client.asked) == 1
    assert time.delays == []


def test_session_retries_are_bounded_with_jitter(time: Time) -> None:
    client = ScriptedClient(error("ThrottlingException"))
    with pytest.raises(StoreError) as caught:
        session(client, time, 1000).get("t", {"k": "v"})
    assert caught.value.code == "ThrottlingException"
    assert caught.value.__cause__ is not None
    assert len(client.asked) == MAX_ATTEMPTS
    assert len(set(time.delays)) == MAX_ATTEMPTS - 1
    assert 0 < max(time.delays) <= MAX_DELAY
    assert time.delays[0] <= 0.04


def test_session_deadline_stops_retries(time: Time) -> None:
    client = ScriptedClient(error("ThrottlingException"))
    with pytest.raises(StoreError) as caught:
        session(client, time, 0.1).get("t", {"k": "v"})
    assert caught.value.code == "ThrottlingException"
    assert time.passed < 0.1


def test_session_no_call_starts_after_deadline(time: Time) -> None:
    client = ScriptedClient({})
    late = session(client, time, 1)
    time.passed += 1
    with pytest.raises(StoreError, match="DeadlineExceeded"):
        late.get("t", {"k": "v"})
    assert client.asked == []
    with pytest.raises(StoreError):
        session(client, time, -1).get("t", {"k": "v"})


def test_session_failed_update_returns_stored_item(time: Time) -> None:
    client = ScriptedClient(error("ConditionalCheckFailedException", Item={"k": {"S": "v"}}))
    with pytest.raises(ConditionFailedError) as caught:
        session(client, time).update(update("t", {"k": "v"}, "SET n = :n", "n = :n", n=1))
    assert (caught.value.items, caught.value.failed) == ([{"k": "v"}], [True])


def test_session_failed_update_of_missing_item_returns_none(time: Time) -> None:
    client = ScriptedClient(error("ConditionalCheckFailedException"))
    with pytest.raises(ConditionFailedError) as caught:
        session(client, time).update(update("t", {"k": "v"}, "SET n = :n", "n = :n", n=1))
    assert (caught.value.items, caught.value.failed) == ([None], [True])


def test_session_failed_transaction_names_failed_conditions(time: Time) -> None:
    reasons = ({"Code": "None"}, {"Code": "ConditionalCheckFailed", "Item": {"k": {"S": "v"}}})
    conflict = {"Code": "TransactionConflict"}
    with pytest.raises(ConditionFailedError) as caught:
        session(ScriptedClient(cancelled(*reasons, conflict)), time).transact([], "token")
    assert (caught.value.items, caught.value.failed) == ([None, {"k": "v"}, None], [False, True, False])


WRITE = update("t", {"k": "v"}, "SET n = :n", "n = :n", n=1)
REFUSAL = error("ConditionalCheckFailedException")


def insist(refused: Session, times: int) -> None:
    for _ in range(times):
        with suppress(ConditionFailedError):
            refused.update(WRITE)


def test_session_repeated_refusals_raise_contended(time: Time) -> None:
    refused = session(ScriptedClient(REFUSAL), time)
    insist(refused, MAX_REFUSALS)
    with pytest.raises(ContendedError):
        refused.get("t", {"k": "v"})
    assert refused.calls == MAX_REFUSALS
    # Every second attempt follows at once, on the items of the refusal before it.
    assert len(time.delays) == MAX_REFUSALS // 2
    assert max(time.delays) <= MAX_PAUSE
    assert len(set(time.delays)) == len(time.delays)


def test_session_conflicting_transactions_raise_contended(time: Time) -> None:
    conflict = session(ScriptedClient(cancelled({"Code": "TransactionConflict"})), time)
    with pytest.raises(ContendedError):
        conflict.transact([put("t", {"k": "v"})], "token")
    assert conflict.calls == MAX_REFUSALS


def test_session_refusals_until_deadline_raise_contended(time: Time) -> None:
    refused = session(ScriptedClient(REFUSAL), time, 0.1)
    insist(refused, 1)
    time.passed += 0.1
    with pytest.raises(ContendedError):
        refused.update(WRITE)


def test_session_expected_refusal_is_not_counted(time: Time) -> None:
    refused = session(ScriptedClient(REFUSAL), time)
    for _ in range(MAX_REFUSALS + 1):
        insist(refused, 1)
        refused.expect_refusal()
    assert time.delays == []
    assert refused.calls == MAX_REFUSALS + 1


def test_session_pauses_differ_in_processes_from_one_snapshot() -> None:
    # SnapStart copies the state of every generator in memory, as fork does.
    state = random.getstate()

    def pause() -> list[float]:
        random.setstate(state)
        time = Time()
        insist(session(ScriptedClient(REFUSAL), time), MAX_REFUSALS)
        return time.delays

    assert pause() != pause()


def test_session_calls_are_limited(time: Time) -> None:
    few = session(ScriptedClient(error("ThrottlingException")), time, max_calls=3)
    with pytest.raises(StoreError, match="ThrottlingException"):
        few.get("t", {"k": "v"})
    with pytest.raises(StoreError, match="TooManyCalls"):
        few.get("t", {"k": "v"})
    assert few.calls == 3
