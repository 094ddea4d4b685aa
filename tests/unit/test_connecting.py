from __future__ import annotations

import io
from typing import Any, NamedTuple

import botocore.session
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import EndpointConnectionError
from urllib3 import HTTPResponse

from pushreg.config import Settings
from pushreg.dynamodb import connect

SETTINGS = {"FAMILY": "test", "TABLE": "table", "DIRECTORY_TABLE": "directory"}
KEY = {"record": {"S": "device#desk"}}
# Telemetry, which only botocore's own handlers add.
ATTEMPTS = {"amz-sdk-invocation-id", "amz-sdk-request"}


class Sent(NamedTuple):
    """A request as it would have gone out, its time apart."""

    moment: object
    method: str
    url: str
    headers: dict[str, object]
    body: object


def capture(client: Any, operation: str, parameters: dict[str, Any]) -> Sent:
    """Call and return what was to be sent; nothing is."""
    requests: list[AWSPreparedRequest] = []

    def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        requests.append(request)
        return AWSResponse(request.url, 200, HTTPHeaders(), HTTPResponse(io.BytesIO(b"{}"), preload_content=False))

    client.meta.events.register("before-send", answer)
    getattr(client, operation)(**parameters)
    client.meta.events.unregister("before-send", answer)
    (request,) = requests
    headers: dict[str, object] = {
        name.lower(): value for name, value in request.headers.items() if name.lower() not in ATTEMPTS
    }
    return Sent(headers.pop("x-amz-date"), request.method, request.url, headers, request.body)


def test_connect_local_endpoint_ignores_machine_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "real")
    client: Any = connect(Settings.from_environ({**SETTINGS, "DYNAMODB_ENDPOINT": "http://127.0.0.1:1"}))
    assert client._request_signer._credentials.access_key == "local"
    assert client.meta.endpoint_url == "http://127.0.0.1:1"
    cloud: Any = connect(Settings.from_environ({**SETTINGS, "AWS_REGION": "eu-west-1"}))
    assert cloud._request_signer._credentials.access_key == "real"
    assert cloud.meta.region_name == "eu-west-1"


def test_connect_disables_botocore_retries() -> None:
    client: Any = connect(Settings.from_environ(SETTINGS))
    calls = []

    def refuse(**_: Any) -> None:
        calls.append(1)
        raise EndpointConnectionError(endpoint_url="test")

    client.meta.events.register("before-send", refuse)
    with pytest.raises(EndpointConnectionError):
        client.list_tables()
    assert calls == [1]


@pytest.mark.parametrize("region", ["eu-west-1", "cn-north-1"])
@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("get_item", {"TableName": "t", "Key": KEY, "ConsistentRead": True}),
        ("batch_get_item", {"RequestItems": {"t": {"Keys": [KEY], "ConsistentRead": True}}}),
        ("transact_get_items", {"TransactItems": [{"Get": {"TableName": "t", "Key": KEY}}]}),
        ("update_item", {"TableName": "t", "Key": KEY, "UpdateExpression": "SET a = :a", "ReturnValues": "NONE"}),
        (
            "transact_write_items",
            {"TransactItems": [{"Put": {"TableName": "t", "Item": KEY}}], "ClientRequestToken": "token"},
        ),
    ],
)
def test_connect_request_equals_stock_botocore_request(operation: str, parameters: dict[str, Any], region: str) -> None:
    client: Any = connect(Settings.from_environ({**SETTINGS, "AWS_REGION": region, "TRANSPORT": "boto3"}))
    stock = botocore.session.Session().create_client("dynamodb", region_name=region, config=client.meta.config)
    sent, wanted = capture(client, operation, parameters), capture(stock, operation, parameters)
    while sent.moment != wanted.moment:
        # Signed in different seconds.
        sent, wanted = capture(client, operation, parameters), capture(stock, operation, parameters)
    assert sent == wanted
    assert "AWS4-HMAC-SHA256" in str(sent.headers["authorization"])
