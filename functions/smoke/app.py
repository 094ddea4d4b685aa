"""The smoke test as a Lambda function: CodeDeploy's hook before a new version gets traffic, and the heartbeat.

It has no layer: it uses the boto3 of Lambda's runtime, since the layer's knows DynamoDB alone. Its credentials are in a
parameter of Systems Manager that an operator writes (docs/runbooks.md#give-the-smoke-test-credentials); without
them the probes only check that each family refuses a wrong one.
"""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPException
from typing import Any
from urllib.parse import quote

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from smoke.probes import Call, ProbeError, probe_engagement, probe_kazoo, probe_places, probe_senders

FAMILIES = ("kazoo", "engagement", "places", "senders")
# The paths of the families' routes; those of the others are what the probes call.
PATHS = {
    "kazoo": "/v2/accounts/{account_id}/push_notification_subscriptions/{app}/{device_id}",
    "places": "/dts/places/{place_id}/subscriptions",
}
TIMEOUT = 15
# Under these the probes register; the credentials of the parameter are for them.
ACCOUNT = "500c0000000000000000000000000500"
PLACE = "500c0000-0000-4000-8000-000000000500"
APPLICATION = "pushreg-smoke"


class SmokeTest:
    """The handler; clients and the parameter are made and read on first use."""

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        connect: Callable[[str], Any] | None = None,
        emit: Callable[[str], None] = print,
        epoch: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._connect: Any = connect or boto3.client
        self._emit = emit
        self._epoch = epoch
        self._sleep = sleep

    def __call__(self, event: Mapping[str, Any], context: Any) -> dict[str, str]:
        """Test the new versions for CodeDeploy's event, the API for the schedule's; return what failed, by family."""
        is_hook = "LifecycleEventHookExecutionId" in event
        if is_hook:
            versions = {family: self._environ[f"{family.upper()}_VERSION"] for family in FAMILIES}
            # Each deployment has devices of its own, since four of them call the hook at once.
            failures = self._probe(lambda family: self._invoke(family, versions[family]), event["DeploymentId"])
        else:
            failures = self._probe(lambda _: self._request(event["api"]), "heartbeat")
        self._log(failures, is_heartbeat=not is_hook)
        if is_hook:
            self._connect("codedeploy").put_lifecycle_event_hook_execution_status(
                deploymentId=event["DeploymentId"],
                lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
                status="Failed" if failures else "Succeeded",
            )
        return failures

    def _probe(self, choose: Callable[[str], Call], name: str) -> dict[str, str]:
        try:
            secrets = self._read_secrets()
        except ProbeError as error:
            # CodeDeploy waits an hour for a hook that dies.
            return {"credentials": str(error)}
        probes: dict[str, Callable[[], None]] = {
            "kazoo": lambda: probe_kazoo(choose("kazoo"), ACCOUNT, secrets.get("kazoo"), f"smoke-{name}"),
            "engagement": lambda: probe_engagement(
                choose("engagement"), APPLICATION, secrets.get("engagement"), f"smoke-{name}"
            ),
            "places": lambda: probe_places(choose("places"), PLACE, secrets.get("places"), f"smoke-{name}"),
            "senders": lambda: probe_senders(
                choose("senders"),
                PLACE,
                secrets.get("senders"),
                choose("places"),
                secrets.get("places"),
                f"smoke-senders-{name}",
                self._epoch,
                self._sleep,
            ),
        }
        return dict(_failures(probes))

    def _read_secrets(self) -> dict[str, str]:
        client = self._connect("ssm")
        try:
            answer = client.get_parameter(Name=self._environ["SECRETS_PARAMETER"], WithDecryption=True)
        except client.exceptions.ParameterNotFound:
            return {}
        except (BotoCoreError, ClientError) as error:
            raise ProbeError(f"the parameter cannot be read ({_name(error)})") from error
        try:
            secrets = json.loads(answer["Parameter"]["Value"])
        except ValueError:
            secrets = None
        if not isinstance(secrets, dict) or not all(isinstance(secret, str) for secret in secrets.values()):
            raise ProbeError("the parameter is no JSON object of texts")
        return secrets

    def _invoke(self, family: str, version: str) -> Call:
        client = self._connect("lambda")

        def call(method: str, path: str, headers: dict[str, str], data: Any, *wanted: int) -> dict[str, Any]:
            event = _build_event(family, method, path, headers, data)
            try:
                answer = client.invoke(FunctionName=version, Payload=json.dumps(event).encode())
            except (BotoCoreError, ClientError) as error:
                raise ProbeError(f"{method}: the function cannot be invoked ({_name(error)})") from error
            payload = json.loads(answer["Payload"].read())
            if "FunctionError" in answer:
                raise ProbeError(f"{method}: the function failed with {payload.get('errorType')}")
            if not isinstance(payload, dict) or "statusCode" not in payload:
                raise ProbeError(f"{method}: the function returned no response")
            return _read(method, int(payload["statusCode"]), payload.get("body") or "", wanted)

        return call

    def _request(self, api: str) -> Call:
        def call(method: str, path: str, headers: dict[str, str], data: Any, *wanted: int) -> dict[str, Any]:
            body = None if data is None else json.dumps(data).encode()
            sent = {"Content-Type": "application/json", **headers}
            # The address comes from the stack's own schedule.
            request = urllib.request.Request(api + path, body, sent, method=method)  # noqa: S310
            try:
                try:
                    response: Any = urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310
                except urllib.error.HTTPError as error:
                    response = error
                with response:
                    status, content = response.status, response.read()
            except (OSError, HTTPException) as error:
                raise ProbeError(f"{method}: nothing answers ({type(error).__name__})") from error
            return _read(method, status, content, wanted)

        return call

    def _log(self, failures: Mapping[str, str], *, is_heartbeat: bool) -> None:
        line: dict[str, Any] = {"service": "smoke", "failures": dict(failures)}
        # The hook does not go through the API: counted, it would hide that the API is out of reach.
        if is_heartbeat:
            metric = {"Name": "Heartbeat", "Unit": "Count"}
            namespace = self._environ["METRICS_NAMESPACE"]
            directive = {"Namespace": namespace, "Dimensions": [["service"]], "Metrics": [metric]}
            about = {"Timestamp": int(self._epoch() * 1000), "CloudWatchMetrics": [directive]}
            line |= {"_aws": about, "Heartbeat": int(not failures)}
        self._emit(json.dumps(line))


def _failures(probes: Mapping[str, Callable[[], None]]) -> Iterator[tuple[str, str]]:
    for family, probe in probes.items():
        try:
            probe()
        except ProbeError as error:
            yield family, str(error)


def _read(method: str, status: int, body: str | bytes, wanted: tuple[int, ...]) -> dict[str, Any]:
    if status not in wanted:
        raise ProbeError(f"{method} returned {status} instead of {wanted[0]}")
    try:
        content = json.loads(body)
    except ValueError as error:
        raise ProbeError(f"{method} did not return JSON") from error
    return content if isinstance(content, dict) else {}


def _name(error: Exception) -> str:
    code: str | None = getattr(error, "response", {}).get("Error", {}).get("Code")
    return code or type(error).__name__


def _build_event(family: str, method: str, path: str, headers: Mapping[str, str], data: Any) -> dict[str, Any]:
    """Return an event of payload format 2.0 as the family's route would send it."""
    route = PATHS.get(family, path)
    return {
        "version": "2.0",
        "routeKey": f"ANY {route}",
        "rawPath": quote(path),
        "rawQueryString": "",
        "headers": {"content-type": "application/json", **{name.lower(): value for name, value in headers.items()}},
        "pathParameters": _match(route, path),
        "requestContext": {"http": {"method": method, "path": path}, "requestId": "smoke"},
        "body": None if data is None else json.dumps(data),
        "isBase64Encoded": False,
    }


def _match(route: str, path: str) -> dict[str, str]:
    pairs = zip(route.split("/"), path.split("/"), strict=True)
    return {name[1:-1]: value for name, value in pairs if name.startswith("{")}


handler = SmokeTest()
