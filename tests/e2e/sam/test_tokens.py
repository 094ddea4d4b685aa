"""Signed tokens in Lambda's containers: PyJWT and cryptography as the layer brings them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pushreg_local.demo import ACCOUNT_ID
from pushreg_ops.cli import main
from tests.support.calls import kazoo_data
from tests.support.jose import make_token
from tests.support.stack import Stack, send_http

pytestmark = [pytest.mark.docker, pytest.mark.engine]


def test_token_of_jose_in_lambda_container_registers_a_phone(
    url: str, database: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem, token = make_token(tmp_path, "jose-in-sam", ACCOUNT_ID)
    monkeypatch.setenv("PUSHREG_ENDPOINT", database.endpoint)
    with pytest.raises(SystemExit) as ended:
        main(["issuers", "add", "jose", "--family", "kazoo", "--pem", str(pem), "--issuer", "kazoo"])
    assert not ended.value.code
    path = f"/v2/accounts/{ACCOUNT_ID}/push_notification_subscriptions/com.example.app/jose-in-sam"
    headers = {"content-type": "application/json", "X-Auth-Token": token}
    body = json.dumps({"data": kazoo_data("mobile-in-sam", token="push-in-sam")}).encode()
    status, _, answer = send_http(url, "PUT", path, headers, body)
    assert status == 201, answer
    # A token that is not signed is refused by the same code.
    headers["X-Auth-Token"] = token.rpartition(".")[0] + "."
    assert send_http(url, "PUT", path, headers, body)[0] == 401
