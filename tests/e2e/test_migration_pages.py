"""The migration pages, walked through from an empty deployed registry: every command, in the order of the page.

A second local stack without demo data stands for the deployed one, and a server of the test for the old one.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pushreg_local.demo import ACCOUNT_ID, PLACE_ID
from tests.support.calls import Kazoo, Modern, Places
from tests.support.documents import ROOT, read_commands
from tests.support.issuers import encode, kazoo_signer, places_signer, private_key, public_pem
from tests.support.serving import serve
from tests.support.stack import MEMORY, PUSHREG, Stack, clean_environ, run_pushreg, run_stack

SAMPLES = ROOT / "docs" / "samples"
APPLICATION = "20096-6548262167"
LOGIN = "Authorization: Basic b2xkOmNvbnNvbGU="
ISSUER = "https://login.example.com/TENANT/v2.0"
KAZOO_TOKEN = "a-token-of-the-old-kazoo"
# Addresses of old servers in the pages.
OLD_SERVERS = (
    "https://KAZOO:8443",
    "http://COUCHDB:5984",
    "https://old.example.com",
    "https://login.example.com/TENANT/discovery",
)


class OldServer:
    """Answers by path; a path may require a header."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[tuple[str, str] | None, bytes]] = {}

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Answer a request."""
        required, content = self.pages.get(path.partition("?")[0], (None, b""))
        given = {name.lower(): value for name, value in headers.items()}
        if method != "GET" or not content:
            return 404, {}, b""
        if required is not None and given.get(required[0].lower()) != required[1]:
            return 401, {}, b""
        return 200, {"content-type": "application/json"}, content


class Walk:
    """Runs the commands of a page, each in a new shell with the environment activated."""

    def __init__(self, folder: Path, local: Stack, deployed: Stack, old: OldServer, old_address: str) -> None:
        self.folder, self.local, self.deployed, self.old = folder, local, deployed, old
        self._old_address = old_address
        (folder / "docs").symlink_to(ROOT / "docs")

    def follow(self, page: str) -> dict[str, str]:
        """Return what each command printed; fail at the first that fails."""
        commands = [each.command for each in read_commands(ROOT / "docs" / page)]
        return {command: self._run(command) for command in commands}

    def _run(self, command: str) -> str:
        on_deployed = "--stack pushreg" in command
        typed = command.replace("--stack pushreg", "").replace("http://127.0.0.1:3000", self.local.url)
        for address in OLD_SERVERS:
            typed = typed.replace(address, self._old_address)
        environ = {
            **clean_environ(),
            "PUSHREG_ENDPOINT": (self.deployed if on_deployed else self.local).endpoint,
            "PATH": f"{PUSHREG.parent}{os.pathsep}{os.environ['PATH']}",
            "TOKEN": KAZOO_TOKEN,
        }
        shell = ["bash", "--noprofile", "--norc", "-euo", "pipefail", "-c", typed]
        done = subprocess.run(shell, cwd=self.folder, env=environ, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def export(self, stack: Stack) -> list[dict[str, Any]]:
        """Return the exported registrations of a stack."""
        done = run_pushreg("export", cwd=self.folder, PUSHREG_ENDPOINT=stack.endpoint)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def read(self, name: str) -> list[dict[str, Any]]:
        """Return the lines of a file that a command wrote."""
        return [json.loads(line) for line in (self.folder / name).read_text("utf-8").split("\n") if line]


@pytest.fixture
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    old = OldServer()
    with ExitStack() as opened:
        address = opened.enter_context(serve(old.send))
        local = opened.enter_context(run_stack(tmp_path_factory.mktemp("local"), engine=MEMORY))
        deployed = opened.enter_context(run_stack(tmp_path_factory.mktemp("deployed"), "--no-demo", engine=MEMORY))
        yield Walk(tmp_path_factory.mktemp("walk"), local, deployed, old, address)


def output_of(outputs: Mapping[str, str], start: str) -> str:
    """Return what the one command printed that starts so."""
    (found,) = (output for command, output in outputs.items() if command.startswith(start))
    return found


@pytest.mark.parametrize("page", sorted(each.name for each in (ROOT / "docs").glob("migrate-*.md")))
def test_migration_page_says_first_what_it_needs(page: str) -> None:
    text = (ROOT / "docs" / page).read_text("utf-8")
    needs = text.partition("\n## ")[0]
    assert "activated environment" in needs
    assert "make run" in needs


def test_migrate_kazoo_page_moves_devices_and_accepts_tokens(walk: Walk) -> None:
    database = f"account%2F{ACCOUNT_ID[:2]}%2F{ACCOUNT_ID[2:4]}%2F{ACCOUNT_ID[4:]}"
    walk.old.pages["/v2/auth/keys/KEY_ID"] = (("X-Auth-Token", KAZOO_TOKEN), public_pem("KEY_ID").encode())
    walk.old.pages[f"/{database}/_all_docs"] = (None, (SAMPLES / "kazoo-dump.json").read_bytes())
    outputs = walk.follow("migrate-kazoo.md")
    key = output_of(outputs, "pushreg keys issue").split()[0]
    token = kazoo_signer(int(time.time()), ACCOUNT_ID, kid="KEY_ID").sign()
    (device,) = walk.export(walk.deployed)
    assert (device["device_id"], device["account_id"]) == ("5a1f0c2b3d4e5f60718293a4b5c6d7e8", ACCOUNT_ID)
    for credential in (key, token):
        answer = Kazoo(walk.deployed.send, credential).get(device["device_id"], app="com.example.app")
        assert (answer.status, answer.json["data"]) == (200, device["data"])
    assert json.loads(output_of(outputs, "curl -sS http://127.0.0.1:3000/v2/"))["data"] == device["data"]
    (back,) = walk.read("back.jsonl")
    assert back["data"] == device["data"]
    again = run_pushreg(
        "import", "devices.json", "--from", "kazoo", "--json", cwd=walk.folder, PUSHREG_ENDPOINT=walk.deployed.endpoint
    )
    assert {name: json.loads(again.stdout)[name] for name in ("created", "updated", "unchanged", "refused")} == {
        "created": 0,
        "updated": 0,
        "unchanged": 1,
        "refused": 0,
    }


def test_migrate_engagement_page_moves_subscribers_with_ksids(walk: Walk) -> None:
    sample = json.loads((SAMPLES / "subscribers.json").read_text("utf-8"))
    for subscriber in sample["subscribers"]:
        subscriber["appId"] = APPLICATION
    name, value = LOGIN.split(": ")
    walk.old.pages["/api/v1/subscribers"] = ((name, value), json.dumps(sample).encode())
    (walk.folder / "login.txt").write_text(LOGIN + "\n")
    outputs = walk.follow("migrate-engagement.md")
    ksids = {str(each["ksid"]) for each in sample["subscribers"]}
    moved = walk.export(walk.deployed)
    assert {each["ksid"]: each["active"] for each in moved} == {
        str(each["ksid"]): each["subscriptionStatus"] for each in sample["subscribers"]
    }
    assert {each["appId"] for each in moved} == {APPLICATION}
    known = json.loads(output_of(outputs, "curl -sS http://127.0.0.1:3000/vpns/subscription"))
    assert str(known["subscriptionResponse"]["statusCode"]) == "201"
    assert known["subscriptionResponse"]["ksid"] in ksids
    listed = json.loads(output_of(outputs, "curl -sS 'http://127.0.0.1:3000/api/v1/subscribers?"))
    assert [each["sid"] for each in listed["subscribers"]] == ["9002390C"]
    key = output_of(outputs, "pushreg keys issue").split()[0]
    reply = Modern(walk.deployed.send, APPLICATION, key).list(ufid="ann@example.com")
    assert (reply.status, [str(each["ksid"]) for each in reply.json["subscribers"]]) == (200, ["4927562634448402412"])


def test_migrate_places_page_moves_tokens_and_accepts_users(walk: Walk) -> None:
    numbers = private_key("places-key-1").public_key().public_numbers()
    jwk = {"kty": "RSA", "use": "sig", "kid": "places-key-1", "alg": "RS256"}
    for name, number in (("n", numbers.n), ("e", numbers.e)):
        jwk[name] = encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))
    walk.old.pages["/v2.0/keys"] = (None, json.dumps({"keys": [jwk]}).encode())
    (walk.folder / "tokens.csv").write_bytes((SAMPLES / "tokens.csv").read_bytes())
    outputs = walk.follow("migrate-places.md")
    tokens = {"sample-fcm-token-1", "sample-fcm-token-2"}
    assert {each["device_token"] for each in walk.export(walk.deployed)} == tokens
    # The page removes the first from the local stack.
    assert {each["device_token"] for each in walk.read("back.jsonl")} == {"sample-fcm-token-2"}
    user = places_signer(int(time.time()), "Courier").sign(aud="api://CLIENT_ID", iss=ISSUER)
    for credential in (output_of(outputs, "pushreg keys issue").split()[0], user):
        places = Places(walk.deployed.send, credential, PLACE_ID)
        assert places.put("a-new-token").status == 200
        assert places.delete("a-new-token").status == 200
