"""The smoke test function against the real handlers: what it tells CodeDeploy and the heartbeat, and what it leaves."""

from __future__ import annotations

import importlib
import io
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from pushreg.models.directory import Account, Application, Credential, Entry, Place
from pushreg.schema import DEVICES, DIRECTORY, PLACES, SUBSCRIBERS, digest
from pushreg_local.intrinsics import Resolver
from pushreg_ops.directory_writer import DirectoryWriter
from smoke.app import ACCOUNT, APPLICATION, FAMILIES, PLACE, SmokeTest
from tests.support.gateway import Gateway, read_template
from tests.support.roles import Restricted
from tests.support.serving import serve
from tests.support.stored import Stored
from tests.unit.test_template import DOCUMENT

MOMENT = "2024-01-01T00:00:00Z"
SECRETS = {
    "kazoo": "kazoo secret",
    "engagement": "engagement secret",
    "places": "places secret",
    "senders": "senders secret",
}
ENTRIES: tuple[Entry, ...] = (
    Account(ACCOUNT, MOMENT),
    Application(APPLICATION, MOMENT, digest(SECRETS["engagement"])),
    Place(PLACE, MOMENT),
    Credential(digest(SECRETS["kazoo"]), "kazoo", "write", MOMENT, account_id=ACCOUNT),
    Credential(digest(SECRETS["places"]), "places", "write", MOMENT, places=frozenset({PLACE})),
    Credential(digest(SECRETS["senders"]), "senders", "sender", MOMENT, places=frozenset({PLACE})),
)
HOOK = {"DeploymentId": "d-ABC123", "LifecycleEventHookExecutionId": "e-1"}
Handler = Callable[[Mapping[str, Any], Any], dict[str, Any]]


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        """Return the moment."""
        return self.moment

    def epoch(self) -> float:
        """Return the moment in seconds."""
        return self.moment.timestamp()

    def sleep(self, seconds: float) -> None:
        """Move on, at once."""
        self.moment += timedelta(seconds=seconds)


@dataclass
class FakeAws:
    """Clients of three services: Lambda runs the real handlers, the others note and answer."""

    handlers: dict[str, Handler]
    secrets: dict[str, str] | str | None
    time: Time
    refused: str | None = None
    told: list[dict[str, Any]] = field(default_factory=list)

    class exceptions:  # noqa: N801 As a client has it.
        class ParameterNotFound(Exception):  # noqa: N818 Botocore's name.
            pass

    def __call__(self, service: str) -> FakeAws:
        assert service in ("lambda", "codedeploy", "ssm")
        return self

    def get_parameter(self, **asked: Any) -> Any:
        assert asked == {"Name": "/pushreg/pushreg-local/smoke", "WithDecryption": True}
        if self.secrets is None:
            raise self.exceptions.ParameterNotFound
        self._refuse("get_parameter")
        value = self.secrets if isinstance(self.secrets, str) else json.dumps(self.secrets)
        return {"Parameter": {"Value": value}}

    def invoke(self, **asked: Any) -> Any:
        self._refuse("invoke")
        try:
            answer, error = self.handlers[asked["FunctionName"]](json.loads(asked["Payload"]), None), {}
        except ArithmeticError as raised:
            answer, error = {"errorType": type(raised).__name__}, {"FunctionError": "Unhandled"}
        return {"Payload": io.BytesIO(json.dumps(answer).encode()), **error}

    def put_lifecycle_event_hook_execution_status(self, **said: Any) -> None:
        self._refuse("put_lifecycle_event_hook_execution_status")
        self.told.append(said)

    def _refuse(self, operation: str) -> None:
        if operation == self.refused:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, operation)


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        client: Any = boto3.client("dynamodb", region_name="us-east-1")
        Stored.create(client)
        writer = DirectoryWriter(client, DIRECTORY)
        for entry in ENTRIES:
            writer.add(entry)
        yield client


@pytest.fixture
def aws(client: Any) -> FakeAws:
    """Versions by their name, each a handler within its role's permissions, of a time that only sleeping moves."""
    time = Time()
    handlers: dict[str, Handler] = {}
    for function in read_template().functions:
        create = importlib.import_module(function.module).create_handler
        restricted = Restricted(client, function.name)
        handlers[f"{function.name}.Version"] = create(
            function.environment, restricted, clock=time.now, sleep=lambda _: None, emit=lambda _: None
        )
    return FakeAws(handlers, SECRETS, time)


@pytest.fixture
def environ() -> dict[str, str]:
    properties = Resolver(DOCUMENT, {}).resolve(DOCUMENT["Resources"]["SmokeFunction"]["Properties"])
    variables: dict[str, str] = properties["Environment"]["Variables"]
    return variables


def run(event: Mapping[str, Any], aws: FakeAws, environ: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the failures by family, and the line that was logged."""
    lines: list[str] = []
    failures = SmokeTest(environ, aws, lines.append, aws.time.epoch, aws.time.sleep)(event, None)
    (line,) = lines
    assert not any(secret in line for secret in SECRETS.values())
    return failures, json.loads(line)


def left(client: Any) -> tuple[list[Any], ...]:
    stored = Stored(client)
    subscribers = [item for item in stored.items(SUBSCRIBERS) if item["record"].startswith("ksid#")]
    return stored.items(DEVICES), stored.items(PLACES), subscribers


def test_hook_good_versions_succeed_and_leave_one_inactive_subscriber(
    client: Any, aws: FakeAws, environ: dict[str, str]
) -> None:
    for _ in range(2):
        failures, line = run(HOOK, aws, environ)
        assert failures == {}
        # No heartbeat: the hook does not go through the API.
        assert line == {"service": "smoke", "failures": {}}
    told = {"deploymentId": "d-ABC123", "lifecycleEventHookExecutionId": "e-1", "status": "Succeeded"}
    assert aws.told == [told, told]
    devices, places, (subscriber,) = left(client)
    assert (devices, places, subscriber["active"]) == ([], [], False)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", ["PUT", "POST", "GET", "DELETE"])
def test_hook_version_that_fails_one_method_is_refused(
    family: str, method: str, client: Any, aws: FakeAws, environ: dict[str, str]
) -> None:
    version = environ[f"{family.upper()}_VERSION"]
    good = aws.handlers[version]
    called = []

    def fail(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        if event["requestContext"]["http"]["method"] != method:
            return good(event, context)
        called.append(method)
        return {"statusCode": 500, "headers": {}, "body": "{}"}

    aws.handlers[version] = fail
    failures, line = run(HOOK, aws, environ)
    # A sender's probe registers by the places family.
    affected = {family, "senders"} if (family, method) == ("places", "PUT") else {family}
    assert failures == line["failures"]
    assert failures.keys() == (affected if called else set())
    assert aws.told[0]["status"] == ("Failed" if called else "Succeeded")


@pytest.mark.parametrize(
    ("path", "result", "failure"),
    [
        ("lookup", {"status": "ok", "tokens": []}, "lookup does not return what was PUT"),
        ("lookup", {"status": "denied"}, "lookup does not find the place"),
        ("feedback", {"status": "absent"}, "feedback returned absent instead of removed"),
        ("feedback", {"status": "newer"}, "feedback returned newer instead of removed"),
        ("feedback", {"status": "removed"}, "lookup returns a token that was reported dead"),
    ],
)
def test_hook_version_of_senders_with_wrong_answer_is_refused_and_leaves_nothing(
    path: str, result: dict[str, Any], failure: str, client: Any, aws: FakeAws, environ: dict[str, str]
) -> None:
    version = environ["SENDERS_VERSION"]
    good = aws.handlers[version]

    def lie(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        if event["headers"]["authorization"] == "Bearer wrong" or not event["rawPath"].endswith(path):
            return good(event, context)
        return {"statusCode": 200, "headers": {}, "body": json.dumps({"results": [result]})}

    aws.handlers[version] = lie
    assert run(HOOK, aws, environ)[0] == {"senders": failure}
    assert left(client)[1] == []


def test_hook_version_that_dies_is_refused_and_named(aws: FakeAws, environ: dict[str, str]) -> None:
    def die(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        raise ZeroDivisionError("a secret")

    aws.handlers[environ["PLACES_VERSION"]] = die
    failures, _ = run(HOOK, aws, environ)
    # A sender's probe registers by the places family.
    assert failures == dict.fromkeys(("places", "senders"), "PUT: the function failed with ZeroDivisionError")
    assert aws.told[0]["status"] == "Failed"


@pytest.mark.parametrize("value", ["", "{", "[]", "null", '{"kazoo": 1}', '{"kazoo": null}'])
def test_hook_unreadable_credentials_fail_the_deployment(value: str, aws: FakeAws, environ: dict[str, str]) -> None:
    aws.secrets = value
    assert run(HOOK, aws, environ)[0] == {"credentials": "the parameter is no JSON object of texts"}
    assert aws.told[0]["status"] == "Failed"


@pytest.mark.parametrize(
    ("operation", "failures"),
    [
        ("get_parameter", {"credentials": "the parameter cannot be read (ThrottlingException)"}),
        (
            "invoke",
            {
                "kazoo": "GET: the function cannot be invoked (ThrottlingException)",
                "engagement": "POST: the function cannot be invoked (ThrottlingException)",
                "places": "PUT: the function cannot be invoked (ThrottlingException)",
                "senders": "POST: the function cannot be invoked (ThrottlingException)",
            },
        ),
    ],
)
def test_hook_call_that_aws_refuses_fails_the_deployment(
    operation: str, failures: dict[str, str], aws: FakeAws, environ: dict[str, str]
) -> None:
    aws.refused = operation
    assert run(HOOK, aws, environ)[0] == failures
    assert aws.told[0]["status"] == "Failed"


@pytest.mark.parametrize("answer", [None, [], "text", {}])
def test_hook_version_without_response_is_refused(answer: Any, aws: FakeAws, environ: dict[str, str]) -> None:
    aws.handlers[environ["KAZOO_VERSION"]] = lambda event, context: answer
    assert run(HOOK, aws, environ)[0] == {"kazoo": "GET: the function returned no response"}
    assert aws.told[0]["status"] == "Failed"


def test_hook_that_codedeploy_refuses_has_logged_its_failures(aws: FakeAws, environ: dict[str, str]) -> None:
    aws.secrets, aws.refused = "", "put_lifecycle_event_hook_execution_status"
    lines: list[str] = []
    with pytest.raises(ClientError):
        SmokeTest(environ, aws, lines.append, aws.time.epoch, aws.time.sleep)(HOOK, None)
    (line,) = map(json.loads, lines)
    assert line["failures"].keys() == {"credentials"}


def test_hook_without_credentials_checks_refusals_only(client: Any, aws: FakeAws, environ: dict[str, str]) -> None:
    aws.secrets = None
    assert run(HOOK, aws, environ)[0] == {}
    assert left(client) == ([], [], [])
    aws.handlers[environ["KAZOO_VERSION"]] = lambda event, context: {"statusCode": 200, "headers": {}, "body": "{}"}
    assert set(run(HOOK, aws, environ)[0]) == {"kazoo"}


def test_hook_after_killed_run_cleans_up(client: Any, aws: FakeAws, environ: dict[str, str]) -> None:
    good = aws.handlers[environ["KAZOO_VERSION"]]

    def die_before_delete(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        if event["requestContext"]["http"]["method"] == "DELETE":
            raise KeyboardInterrupt
        return good(event, context)

    Stored(client)
    aws.handlers[environ["KAZOO_VERSION"]] = die_before_delete
    with pytest.raises(KeyboardInterrupt):
        run(HOOK, aws, environ)
    aws.handlers[environ["KAZOO_VERSION"]] = good
    assert run(HOOK, aws, environ)[0] == {}
    assert left(client)[0] == []


def test_heartbeat_calls_api_and_reports(client: Any, aws: FakeAws, environ: dict[str, str]) -> None:
    with serve(Gateway(client, clock=aws.time.now).send) as address:
        failures, line = run({"api": address}, aws, environ)
    assert failures == {}
    assert (line["service"], line["Heartbeat"]) == ("smoke", 1)
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
    assert aws.told == []
    assert left(client)[:2] == ([], [])


@pytest.mark.parametrize(
    "answer", [b"nonsense\r\n\r\n", b"HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\n{}", b"HTTP/1.1 200 OK\r\n"]
)
def test_heartbeat_broken_response_fails_every_family(answer: bytes, aws: FakeAws, environ: dict[str, str]) -> None:
    class Broken(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65_536)
            self.request.sendall(answer)

    with ThreadingTCPServer(("127.0.0.1", 0), Broken) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        failures, line = run({"api": f"http://127.0.0.1:{server.server_address[1]}"}, aws, environ)
        server.shutdown()
    assert set(failures) == set(FAMILIES)
    assert line["Heartbeat"] == 0


def test_heartbeat_without_api_fails_every_family(aws: FakeAws, environ: dict[str, str]) -> None:
    failures, line = run({"api": "http://127.0.0.1:9"}, aws, environ)
    assert set(failures) == set(FAMILIES)
    assert line["Heartbeat"] == 0
