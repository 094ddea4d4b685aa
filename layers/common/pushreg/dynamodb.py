"""DynamoDB: the client, conditional calls, retries with backoff and jitter, and the meaning of error codes."""

from __future__ import annotations

import math
import random
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol, cast

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ChecksumError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as UnreachableError
from botocore.parsers import ResponseParserError

from pushreg.config import Settings
from pushreg.errors import ConditionFailedError, ContendedError, StoreError
from pushreg.schema import Item, Key
from pushreg.transport import Connections, install

MAX_ATTEMPTS = 10
# DynamoDB's limit for one BatchGetItem or one transaction.
MAX_KEYS = 100
# Seconds of backoff before jitter: the first, doubled for each attempt, and the longest.
BASE_DELAY = 0.02
MAX_DELAY = 0.5
# Writes refused because other callers changed the items first, after which a session gives up, and seconds of the pause
# between them (docs/decisions/contention.md).
MAX_REFUSALS = 5
MAX_PAUSE = 1.6
# The system's source of random numbers: the state of a generator would be copied with SnapStart's snapshot, and all
# environments restored from it would pause for the same times.
_RANDOM = random.SystemRandom()

_TRANSIENT = frozenset(
    {
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "ThrottlingError",
        "ThrottlingException",
        "TransactionInProgressException",
    }
)
_CONFLICTS = frozenset({"TransactionConflict", "TransactionConflictException"})


class Client(Protocol):
    """The calls used of a botocore DynamoDB client."""

    def get_item(self, **parameters: Any) -> dict[str, Any]: ...
    def batch_get_item(self, **parameters: Any) -> dict[str, Any]: ...
    def transact_get_items(self, **parameters: Any) -> dict[str, Any]: ...
    def update_item(self, **parameters: Any) -> dict[str, Any]: ...
    def transact_write_items(self, **parameters: Any) -> dict[str, Any]: ...
    def query(self, **parameters: Any) -> dict[str, Any]: ...


def connect(settings: Settings, connect_timeout: float = 0.5, read_timeout: float = 1.0) -> Client:
    """Return a client that tries once and gives up after the timeouts, in seconds; Session owns the retries.

    botocore's retries know neither the request's time limit nor cancelled transactions. A fixed user agent and no
    validation save a third of a call's CPU. The direct transport needs none of botocore's 127 built-in handlers, whose
    registration takes a thirtieth of a cold start.
    """
    direct = settings.transport == "direct"
    core = botocore.session.Session(include_builtin_handlers=not direct)
    if settings.endpoint:
        # A local engine checks no signature; the machine's real credentials must not travel to it.
        core.set_credentials("local", "local")
    config = Config(
        user_agent="pushreg",
        parameter_validation=False,
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        max_pool_connections=64,
    )
    session = boto3.Session(botocore_session=core)
    client = session.client("dynamodb", region_name=settings.region, endpoint_url=settings.endpoint, config=config)
    if direct:
        ca_bundle: str | None = core.get_config_variable("ca_bundle")
        connections = Connections(client.meta.endpoint_url, connect_timeout, read_timeout, ca_bundle)
        install(client, session.get_credentials(), connections.exchange)
    return cast("Client", client)


class Page(NamedTuple):
    """What one Query call found; `last` is the key to go on behind, None at the end.

    `total` counts them; with `Select=COUNT` there are no items.
    """

    items: list[Item]
    total: int
    last: Key | None


class Session:
    """One request's calls of DynamoDB, counted and retried, until StoreError ends them at a limit.

    No call starts more than `limit` seconds after the session, nor after `max_calls` calls. ContendedError if writes of
    other callers used the limits up, or refused MAX_REFUSALS writes.
    """

    def __init__(
        self,
        client: Client,
        limit: float = 8.0,
        timer: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        max_calls: float = math.inf,
    ) -> None:
        self._client = client
        self._timer = timer
        self._sleep = sleep
        self._deadline = timer() + limit
        self._max_calls = max_calls
        self._refusals = 0
        self._is_pause_due = False
        self.calls = 0

    def fork(self) -> Session:
        """Return a session with the same deadline for one part of a request, which may run in a thread of its own.

        It may make as many calls as are left; they and its contention count on their own.
        """
        remaining = self._max_calls - self.calls
        return Session(self._client, self._deadline - self._timer(), self._timer, self._sleep, remaining)

    def join(self, forks: Iterable[Session]) -> None:
        """Count the calls of forks that have ended, without using up this session's own."""
        calls = sum(fork.calls for fork in forks)
        self.calls += calls
        self._max_calls += calls

    def get(self, table: str, key: Key, *names: str) -> Item | None:
        """Return the item at the key by a strongly consistent read, or None; `names` restricts its attributes."""
        only = {"ProjectionExpression": ", ".join(names)} if names else {}
        answer = self._call(self._client.get_item, TableName=table, Key=to_attributes(key), ConsistentRead=True, **only)
        return from_attributes(answer["Item"]) if "Item" in answer else None

    def get_many(self, table: str, keys: Sequence[Key]) -> list[Item | None]:
        """Return the items at distinct keys in their order, each read strongly consistent; together no snapshot.

        MAX_KEYS are read by one call.
        """
        items: list[Item | None] = []
        for start in range(0, len(keys), MAX_KEYS):
            items += self._get_batch(table, keys[start : start + MAX_KEYS])
        return items

    def _get_batch(self, table: str, keys: Sequence[Key]) -> list[Item | None]:
        found: dict[frozenset[tuple[str, str]], Item] = {}
        pending: list[dict[str, Any]] = [to_attributes(key) for key in keys]
        attempt = 0
        while pending:
            answer = self._call(
                self._client.batch_get_item, RequestItems={table: {"Keys": pending, "ConsistentRead": True}}
            )
            for attributes in answer["Responses"].get(table, []):
                item = from_attributes(attributes)
                found[frozenset((name, item[name]) for name in keys[0])] = item
            # Throttling of some of the keys shows here, not as an error.
            pending = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
            if pending:
                attempt += 1
                self._wait(attempt, "UnprocessedKeys", None)
        return [found.get(frozenset(key.items())) for key in keys]

    def get_snapshot(self, table: str, keys: Sequence[Key]) -> list[Item | None]:
        """Return the items at distinct keys in their order, read in one transaction.

        At most MAX_KEYS.
        """
        reads = [{"Get": {"TableName": table, "Key": to_attributes(key)}} for key in keys]
        answer = self._call(self._client.transact_get_items, TransactItems=reads)
        return [from_attributes(each["Item"]) if each.get("Item") else None for each in answer["Responses"]]

    def query(self, table: str, condition: str, start: Key | None = None, **options: Any) -> Page:
        """Return one page of the items that meet the key condition, from behind the key `start`.

        Lower-case options are values, under `:name` in the expressions; the others are those of the API's Query call.
        Pages are limited by the session's time alone: reading many is no contention.
        """
        parameters = {name: value for name, value in options.items() if name[0].isupper()}
        values = {name: value for name, value in options.items() if name not in parameters}
        parameters |= {"TableName": table, "KeyConditionExpression": condition}
        parameters["ExpressionAttributeValues"] = {f":{name}": _to_attribute(value) for name, value in values.items()}
        if start is not None:
            parameters["ExclusiveStartKey"] = to_attributes(start)
        answer = self._call(self._client.query, **parameters)
        self._max_calls += 1
        last = answer.get("LastEvaluatedKey")
        items = [from_attributes(attributes) for attributes in answer.get("Items", ())]
        return Page(items, answer["Count"], None if last is None else from_attributes(last))

    def update(self, write: dict[str, Any], returning: str = "NONE") -> Item:
        """Make one conditional update and return the attributes asked for; ConditionFailedError if refused."""
        answer = self._call(self._client.update_item, **write["Update"], ReturnValues=returning)
        return from_attributes(answer.get("Attributes", {}))

    def transact(self, writes: Sequence[dict[str, Any]], idempotency_token: str | None = None) -> None:
        """Make all writes or none; ConditionFailedError if a condition fails.

        The idempotency token, by default a new one, keeps retries after a lost response from writing again. It has at
        most 36 characters and is valid for ten minutes (API reference, TransactWriteItems).
        """
        token = idempotency_token or uuid.uuid4().hex
        self._call(self._client.transact_write_items, TransactItems=list(writes), ClientRequestToken=token)

    def expect_refusal(self) -> None:
        """Take the last refusal for an answer, which is no sign of contention: the next call follows at once."""
        self._refusals -= 1
        self._is_pause_due = False

    def _call(self, operation: Callable[..., dict[str, Any]], **parameters: Any) -> dict[str, Any]:
        attempt = 0
        # Ends with a limit, by StoreError.
        while True:
            self._begin()
            try:
                return operation(**parameters)
            except ClientError as error:
                try:
                    code = _interpret(error)
                except ConditionFailedError:
                    self._count_refusal()
                    raise
                if code in _CONFLICTS:
                    self._count_refusal()
                    continue
                cause: Exception = error
            except (HTTPClientError, UnreachableError, ResponseParserError, ChecksumError) as error:
                code, cause = type(error).__name__, error
            except BotoCoreError as error:
                raise StoreError(type(error).__name__) from error
            attempt += 1
            self._wait(attempt, code, cause)

    def _begin(self) -> None:
        """Pause if that is due and count a call; StoreError if the session has reached a limit."""
        pause = _RANDOM.uniform(0, MAX_PAUSE) if self._is_pause_due else 0.0
        is_late = self._timer() + pause >= self._deadline
        if is_late or self.calls >= self._max_calls or self._refusals >= MAX_REFUSALS:
            raise ContendedError if self._refusals else StoreError("DeadlineExceeded" if is_late else "TooManyCalls")
        if pause:
            self._sleep(pause)
        self._is_pause_due = False
        self.calls += 1

    def _count_refusal(self) -> None:
        self._refusals += 1
        # After a pause the items of the last refusal are out of date where many callers contend: the next write is
        # likely to be refused too, and the one after it follows at once, on fresh items.
        self._is_pause_due = self._refusals % 2 == 1

    def _wait(self, attempt: int, code: str, cause: Exception | None) -> None:
        """Sleep before the next attempt; StoreError if none is left or the deadline would pass meanwhile."""
        delay = _RANDOM.uniform(0, min(BASE_DELAY * 2**attempt, MAX_DELAY))
        is_last = attempt == MAX_ATTEMPTS or self.calls >= self._max_calls
        if is_last or self._timer() + delay >= self._deadline:
            raise StoreError(code) from cause
        self._sleep(delay)


def _interpret(error: ClientError) -> str:
    """Return the code of an error worth a retry; raise ConditionFailedError or StoreError for the others."""
    response = cast("dict[str, Any]", error.response)
    code: str = response["Error"]["Code"]
    if code == "ConditionalCheckFailedException":
        item: dict[str, Any] | None = response.get("Item")
        raise ConditionFailedError([from_attributes(item) if item else None], [True]) from error
    if code == "TransactionCanceledException":
        reasons: list[dict[str, Any]] = response.get("CancellationReasons", [])
        failed = [reason.get("Code") == "ConditionalCheckFailed" for reason in reasons]
        if any(failed):
            items = [from_attributes(reason["Item"]) if reason.get("Item") else None for reason in reasons]
            raise ConditionFailedError(items, failed) from error
        code = next((reason["Code"] for reason in reasons if reason.get("Code", "None") != "None"), code)
    status: int = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code not in _TRANSIENT | _CONFLICTS and status < 500:
        raise StoreError(code) from error
    return code


def put(table: str, item: Item, condition: str | None = None, **values: Any) -> dict[str, Any]:
    """Return a write that replaces the item if the condition holds; the condition names its values `:name`."""
    return {"Put": _conditional(table, {"Item": to_attributes(item)}, condition, values)}


def update(table: str, key: Key, change: str, condition: str, **values: Any) -> dict[str, Any]:
    """Return a write that changes the item at the key if the condition holds."""
    expression = {"Key": to_attributes(key), "UpdateExpression": change}
    return {"Update": _conditional(table, expression, condition, values)}


def delete(table: str, key: Key, condition: str, **values: Any) -> dict[str, Any]:
    """Return a write that removes the item at the key if the condition holds."""
    return {"Delete": _conditional(table, {"Key": to_attributes(key)}, condition, values)}


def _conditional(table: str, write: dict[str, Any], condition: str | None, values: dict[str, Any]) -> dict[str, Any]:
    write["TableName"] = table
    if condition is not None:
        write["ConditionExpression"] = condition
        write["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    if values:
        write["ExpressionAttributeValues"] = {f":{name}": _to_attribute(value) for name, value in values.items()}
    return write


def to_attributes(item: Item) -> dict[str, dict[str, Any]]:
    """Return the item in DynamoDB JSON, without the attributes that are None."""
    return {name: _to_attribute(value) for name, value in item.items() if value is not None}


def from_attributes(attributes: dict[str, dict[str, Any]]) -> Item:
    """Return the item of its DynamoDB JSON."""
    return {name: _from_attribute(attribute) for name, attribute in attributes.items()}


def _to_attribute(value: str | bool | int | Iterable[str]) -> dict[str, Any]:
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    return {"SS": sorted(value)}


def _from_attribute(attribute: dict[str, Any]) -> Any:
    ((kind, value),) = attribute.items()
    if kind == "N":
        return int(value)
    if kind == "SS":
        return frozenset(value)
    return value
