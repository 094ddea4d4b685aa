"""Signed tokens at the running local stack: of its own issuer, and of one that an operator adds."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from pushreg_local.demo import ACCOUNT_ID, PLACE_ID
from tests.e2e.conftest import ENGINES
from tests.support.calls import kazoo_data
from tests.support.jose import make_token
from tests.support.stack import PATIENCE, PUSHREG, Stack, clean_environ, run_stack

DEVICES = f"/v2/accounts/{ACCOUNT_ID}/push_notification_subscriptions/com.example.app"
JSON = {"content-type": "application/json"}


def run(stack: Stack, folder: Path, *arguments: str) -> str:
    """Run `pushreg` in the folder, for the stack, and return what it prints."""
    environ = {**clean_environ(), "PUSHREG_ENDPOINT": stack.endpoint}
    done = subprocess.run(
        [str(PUSHREG), *arguments], cwd=folder, env=environ, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def register(stack: Stack, device_id: str, token: str) -> tuple[int, bytes]:
    """Register a phone as the demo's account with the token."""
    body = json.dumps({"data": kazoo_data(f"mobile of {device_id}", token=f"push-{device_id}")}).encode()
    status, _, answer = stack.send("PUT", f"{DEVICES}/{device_id}", {**JSON, "X-Auth-Token": token}, body)
    return status, answer


def test_demo_tokens_are_accepted_by_their_stack_and_by_no_other(tmp_path: Path) -> None:
    with run_stack(tmp_path, engine=ENGINES[0]) as stack:
        assert "pushreg demo-token" in stack.output
        token = run(stack, tmp_path, "demo-token")
        status, answer = register(stack, "phone", token)
        assert status == 201, answer
        assert json.loads(answer)["auth_token"] == token
        place = run(stack, tmp_path, "demo-token", "--family", "places")
        headers = {**JSON, "Authorization": f"Bearer {place}"}
        path = f"/dts/places/{PLACE_ID}/subscriptions"
        assert stack.send("PUT", path, headers, b'{"device_token":"token-1"}')[0] == 200
        other = tmp_path / "other"
        other.mkdir()
        with run_stack(other, "--no-demo", engine=ENGINES[0]) as bare:
            assert register(bare, "phone", token)[0] == 401


@pytest.mark.parametrize("algorithm", ["RS256", "RS512"])
def test_token_of_jose_with_kazoo_claims_registers_a_phone(algorithm: str, stack: Stack, tmp_path: Path) -> None:
    kid = f"jose-{stack.engine}-{algorithm}"
    pem, token = make_token(tmp_path, kid, ACCOUNT_ID, algorithm)
    assert register(stack, kid, token)[0] == 401
    options = ("--family", "kazoo", "--pem", str(pem), "--issuer", "kazoo", "--algorithm", algorithm)
    run(stack, tmp_path, "issuers", "add", kid, *options)
    status, answer = register(stack, kid, token)
    assert status == 201, answer
