"""Signed tokens in Lambda's containers: PyJWT and cryptography as their layer brings them, and functions without it."""

from __future__ import annotations

import json

import pytest

from pushreg_local.demo import ACCOUNT_ID, PLACE_ID, SECURE_APPLICATION
from pushreg_ops.cli import main
from tests.support.calls import engagement_form, kazoo_data
from tests.support.jose import make_token
from tests.support.stack import Stack, send_http

pytestmark = [pytest.mark.docker, pytest.mark.engine]


@pytest.fixture(scope="module")
def token(database: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A token of an issuer in the directory."""
    pem, token = make_token(tmp_path_factory.mktemp("jose"), "jose-in-sam", ACCOUNT_ID)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUSHREG_ENDPOINT", database.endpoint)
        with pytest.raises(SystemExit) as ended:
            main(["issuers", "add", "jose", "--family", "kazoo", "--pem", str(pem), "--issuer", "kazoo"])
    assert not ended.value.code
    return token


def test_token_of_jose_in_lambda_container_registers_a_phone(url: str, token: str) -> None:
    path = f"/v2/accounts/{ACCOUNT_ID}/push_notification_subscriptions/com.example.app/jose-in-sam"
    headers = {"content-type": "application/json", "X-Auth-Token": token}
    body = json.dumps({"data": kazoo_data("mobile-in-sam", token="push-in-sam")}).encode()
    status, _, answer = send_http(url, "PUT", path, headers, body)
    assert status == 201, answer
    # A token that is not signed is refused by the same code.
    headers["X-Auth-Token"] = token.rpartition(".")[0] + "."
    assert send_http(url, "PUT", path, headers, body)[0] == 401


def test_token_in_lambda_container_without_tokens_layer_returns_401(url: str, token: str) -> None:
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}", "x-device-authtoken": token}
    form = engagement_form("device-in-sam", "sid-in-sam", SECURE_APPLICATION)
    subscription = {"subscriptionService": {"subscribe": form}}
    lookup = {"addresses": [{"place_id": PLACE_ID}]}
    for method, path, data in (
        ("POST", "/subscription", subscription),
        ("POST", "/api/v1/subscribers", subscription),
        ("GET", f"/api/v1/subscribers?appId={SECURE_APPLICATION}", None),
        ("POST", "/pushreg/v1/lookup", lookup),
    ):
        body = None if data is None else json.dumps(data).encode()
        status, _, answer = send_http(url, method, path, headers, body)
        assert status == 401, (path, answer)
