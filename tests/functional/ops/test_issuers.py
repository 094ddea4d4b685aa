"""`pushreg issuers` as typed, against the tables of a local registry, and what the functions then accept."""

from __future__ import annotations

import base64
import json
import re
import shlex
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from pushreg.dynamodb import from_attributes
from pushreg_local.client import AdminClient, connect_endpoint
from pushreg_local.demo import ACCOUNT_ID, PLACE_ID
from pushreg_local.demo_issuer import list_issuers, sign_token
from pushreg_local.engines.memory import MemoryEngine
from pushreg_local.errors import OperatorError
from pushreg_local.tables import create_missing
from pushreg_ops.directory_writer import DirectoryWriter
from pushreg_ops.jwks import read_key_set
from tests.support.calls import kazoo_data
from tests.support.clients import connect_functions
from tests.support.command import Run
from tests.support.gateway import Gateway, read_template
from tests.support.issuers import AUDIENCE, ISSUER, encode, kazoo_signer, places_signer, private_key, public_pem

DOCS = Path(__file__).parents[3] / "docs"
DEVICE = f"/v2/accounts/{ACCOUNT_ID}/push_notification_subscriptions/com.example.app/phone"
TOKENS = f"/dts/places/{PLACE_ID}/subscriptions"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryEngine]:
    """A local registry that `pushreg` finds by PUSHREG_ENDPOINT."""
    engine = MemoryEngine(0)
    engine.start()
    monkeypatch.setenv("PUSHREG_ENDPOINT", engine.endpoint)
    yield engine
    engine.stop()


@pytest.fixture
def client(engine: MemoryEngine) -> AdminClient:
    """A client of the registry."""
    client = connect_endpoint(engine.endpoint)
    create_missing(client, read_template().tables)
    return client


def stored(client: AdminClient) -> dict[str, Any]:
    items = [from_attributes(each) for each in client.scan(TableName="DirectoryTable")["Items"]]
    return {item["record"]: item for item in items if item["record"].startswith("issuer#")}


def to_jwk(kid: str, **members: Any) -> dict[str, Any]:
    numbers = private_key(kid).public_key().public_numbers()
    modulus, exponent = (
        encode(number.to_bytes((number.bit_length() + 7) // 8, "big")) for number in (numbers.n, numbers.e)
    )
    return {"kty": "RSA", "use": "sig", "kid": kid, "n": modulus, "e": exponent, **members}


def write_set(path: Path, *keys: dict[str, Any]) -> str:
    path.write_text(json.dumps({"keys": keys}))
    return str(path)


def add_places(run: Run, jwks: str, *options: str) -> tuple[int, str, str]:
    return run(
        "issuers", "add", "azure", "--family", "places", "--jwks", jwks, "--audience", AUDIENCE, "--issuer", ISSUER,
        "--role-map", "Courier=write:all", *options,
    )  # fmt: skip


def test_issuers_add_pem_list_remove_round_trip(client: AdminClient, run: Run, tmp_path: Path) -> None:
    pem = tmp_path / "kazoo-key-1.pem"
    pem.write_text(public_pem("kazoo-key-1"))
    arguments = ("issuers", "add", "kazoo", "--family", "kazoo", "--pem", str(pem), "--issuer", "kazoo")
    assert run(*arguments) == (0, "issuer kazoo added with the key kazoo-key-1 (RS256)\n", "")
    item = stored(client)["issuer#kazoo-key-1"]
    assert {name: item[name] for name in ("name", "family", "algorithm", "public_key", "issuer")} == {
        "name": "kazoo",
        "family": "kazoo",
        "algorithm": "RS256",
        "public_key": public_pem("kazoo-key-1"),
        "issuer": "kazoo",
    }
    code, out, _ = run("issuers", "list", "--json")
    (listed,) = json.loads(out)
    assert (code, listed["name"], listed["kid"], listed["roles"]) == (0, "kazoo", "kazoo-key-1", [])
    # No column is empty: `cut` and `column -t` count on it.
    assert run("issuers", "list")[1].split("\t")[5:9] == ["kazoo", "-", "-", "-"]
    # Neither the name nor the key can be added twice.
    assert run(*arguments)[0] == 1
    code, _, problem = run("issuers", "add", "other", "--family", "kazoo", "--pem", str(pem))
    assert (code, "kazoo-key-1 belongs to an issuer already" in problem) == (1, True)
    assert stored(client) == {"issuer#kazoo-key-1": item}
    assert run("issuers", "remove", "kazoo")[0] == 0
    assert stored(client) == {}
    assert run("issuers", "remove", "kazoo")[0] == 1


def test_issuers_add_key_set_stores_every_signature_key(client: AdminClient, run: Run, tmp_path: Path) -> None:
    curve, edwards = ec.generate_private_key(ec.SECP384R1()).public_key(), ed25519.Ed25519PrivateKey.generate()
    numbers = curve.public_numbers()
    coordinates = [encode(number.to_bytes(48, "big")) for number in (numbers.x, numbers.y)]
    keys = [
        to_jwk("one", alg="RS512"),
        to_jwk("two", use="enc"),
        {"kty": "EC", "crv": "P-384", "kid": "three", "x": coordinates[0], "y": coordinates[1]},
        {"kty": "OKP", "crv": "Ed25519", "kid": "four", "x": encode(edwards.public_key().public_bytes_raw())},
        {"kty": "oct", "kid": "five", "k": "c2VjcmV0"},
    ]  # fmt: skip
    assert add_places(run, write_set(tmp_path / "keys.json", *keys))[0] == 0
    assert {kid: item["algorithm"] for kid, item in stored(client).items()} == {
        "issuer#one": "RS512",
        "issuer#three": "ES384",
        "issuer#four": "EdDSA",
    }


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "is no JSON"),
        ("[]", "is no JSON Web Key Set"),
        ('{"keys": [1]}', "is no JSON Web Key Set"),
        ('{"keys": []}', "has no keys for signatures"),
        ('{"keys": [{"kty": "RSA", "kid": "one", "n": "", "e": ""}]}', "'one'"),
        ('{"keys": [{"kty": "EC", "kid": "one", "crv": "P-256"}]}', "'one' is not usable"),
        ('{"keys": [{"kty": "RSA", "kid": 1, "n": "AQAB", "e": "AQAB"}]}', "1"),
        ('{"keys": [{"kty": "RSA", "kid": "one", "alg": "none", "n": "AQAB", "e": "AQAB"}]}', "'one' is for 'none'"),
        ('{"keys": [{"kty": "EC", "kid": "one", "alg": "ES256K", "crv": "secp256k1"}]}', "'one' is for 'ES256K'"),
    ],
)
def test_issuers_add_bad_key_set_is_refused(
    content: str, problem: str, client: AdminClient, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "keys.json").write_text(content)
    code, _, said = add_places(run, str(tmp_path / "keys.json"))
    assert (code, problem in said) == (1, True), said
    assert stored(client) == {}


def test_issuers_add_and_refresh_leave_out_unusable_keys(key_server: KeyServer, client: AdminClient, run: Run) -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key().public_numbers()
    unusable = [
        to_jwk("short", n=encode(short.n.to_bytes(128, "big"))),
        to_jwk("decrypting", alg="RSA-OAEP"),
        to_jwk("a blank"),
        {"kty": "OKP", "crv": "X25519", "kid": "agreeing", "x": encode(b"x" * 32)},
    ]
    key_server.content = json.dumps({"keys": [*unusable, to_jwk("one")]}).encode()
    url = f"http://127.0.0.1:{key_server.server_port}/keys"
    code, out, notes = add_places(run, url)
    assert (code, out) == (0, "issuer azure added with the key one (RS256)\n")
    names = ["short", "decrypting", "a blank", "agreeing"]
    assert all(
        line.startswith("left out: ") and name in line for name, line in zip(names, notes.splitlines(), strict=True)
    )
    assert stored(client).keys() == {"issuer#one"}
    code, out, notes = run("issuers", "refresh", "azure", "--json")
    assert (code, json.loads(out), notes) == (0, {"name": "azure", "added": [], "removed": []}, "")


def test_issuers_add_private_key_in_set_is_refused_and_not_printed(
    client: AdminClient, run: Run, tmp_path: Path
) -> None:
    secret = encode(private_key("one").private_numbers().d.to_bytes(256, "big"))
    for members in ({}, {"alg": "RSA-OAEP"}, {"alg": "none"}):
        keys = write_set(tmp_path / "keys.json", to_jwk("two"), to_jwk("one", d=secret, **members))
        code, out, problem = add_places(run, keys)
        assert (code, "'one' is a private key" in problem, secret in out + problem) == (1, True, False)
    assert stored(client) == {}


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
        (ed448.Ed448PrivateKey.generate(), "EdDSA"),
        (ec.generate_private_key(ec.SECP521R1()), "ES512"),
    ],
    ids=["ed25519", "ed448", "p-521"],
)
def test_issuers_add_pem_on_curve_takes_its_algorithm(
    key: Any, algorithm: str, engine: MemoryEngine, client: AdminClient, run: Run, tmp_path: Path
) -> None:
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "one.pem").write_bytes(pem)
    assert run("issuers", "add", "kazoo", "--family", "kazoo", "--pem", str(tmp_path / "one.pem"))[0] == 0
    assert stored(client)["issuer#one"]["algorithm"] == algorithm
    run("accounts", "add", ACCOUNT_ID)
    headers = {"x-auth-token": kazoo_signer(int(time.time()), ACCOUNT_ID).sign(algorithm, key, "one")}
    assert put(engine, DEVICE, headers, {"data": kazoo_data("mobile-1")}) == 201


def test_issuers_add_unusable_pem_is_refused(client: AdminClient, run: Run, tmp_path: Path) -> None:
    private = private_key("kazoo-key-1").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
    for content in (b"", private, short.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)):
        (tmp_path / "key.pem").write_bytes(content)
        assert run("issuers", "add", "kazoo", "--family", "kazoo", "--pem", str(tmp_path / "key.pem"))[0] == 1
    assert run("issuers", "add", "kazoo", "--family", "kazoo", "--pem", str(tmp_path / "none.pem"))[0] == 1
    assert stored(client) == {}


@pytest.mark.parametrize(
    "options",
    [
        ("--family", "kazoo"),
        ("--family", "kazoo", "--pem", "a", "--jwks", "b"),
        ("--family", "kazoo", "--pem", "a", "--algorithm", "HS256"),
        ("--family", "kazoo", "--pem", "a", "--role-map", "Courier=write:all"),
        ("--family", "kazoo", "--jwks", "a", "--kid", "b"),
        ("--family", "kazoo", "--jwks", "a", "--algorithm", "RS512"),
        ("--family", "kazoo", "--pem", "a", "--issuer", ""),
        ("--family", "places", "--jwks", "a", "--audience", "", "--role-map", "Courier=write:all"),
        ("--family", "places", "--jwks", "a", "--role-map", "Courier=write:all"),
        ("--family", "places", "--jwks", "a", "--audience", "b"),
        ("--family", "places", "--jwks", "a", "--audience", "b", "--role-map", "Courier=all"),
        ("--family", "places", "--jwks", "a", "--audience", "b", "--role-map", "Courier=write:here"),
        ("--family", "engagement", "--pem", "a"),
    ],
)
def test_issuers_add_wrong_usage_is_refused(options: tuple[str, ...], run: Run) -> None:
    assert run("issuers", "add", "name", *options)[0] == 2


def test_issuers_add_for_unknown_place_is_refused(client: AdminClient, run: Run, tmp_path: Path) -> None:
    keys = write_set(tmp_path / "keys.json", to_jwk("one"))
    code, _, problem = add_places(run, keys, "--role-map", f"Manager=admin:{PLACE_ID}")
    assert (code, "pushreg places add" in problem) == (1, True)
    assert stored(client) == {}


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://login.example.com/keys", "is not https"),
        ("http://127.0.0.1@login.example.com/keys", "is not https"),
        ("file:///etc/keys.json", "is not https"),
        ("https://[::1", "cannot be reached"),
        ("https://login.example.com:port/keys", "cannot be reached"),
    ],
)
def test_issuers_add_bad_url_is_refused(url: str, problem: str, client: AdminClient, run: Run) -> None:
    code, _, said = add_places(run, url)
    assert (code, problem in said) == (1, True), said
    assert stored(client) == {}


def test_key_set_sent_byte_by_byte_is_refused_after_its_time() -> None:
    stop = threading.Event()

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            # Each byte is in time for the socket.
            while not stop.wait(0.05):
                self.wfile.write(b" ")

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        thread = threading.Thread(target=partial(server.serve_forever, 0.02))
        thread.start()
        with pytest.raises(OperatorError, match="too slowly"):
            read_key_set(f"http://127.0.0.1:{server.server_port}/keys", 0.3)
        stop.set()
        server.shutdown()
        thread.join()


class KeyServer(ThreadingHTTPServer):
    """Serves a key set, or what else the test sets."""

    status, content = 200, b""


class _KeyHandler(BaseHTTPRequestHandler):
    server: KeyServer

    def do_GET(self) -> None:
        self.send_response(self.server.status)
        self.send_header("location", "/elsewhere")
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def key_server() -> Iterator[KeyServer]:
    """A server of keys on this machine."""
    with KeyServer(("127.0.0.1", 0), _KeyHandler) as server:
        thread = threading.Thread(target=partial(server.serve_forever, 0.02))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_issuers_refresh_replaces_keys_by_those_of_the_url(
    key_server: KeyServer, client: AdminClient, run: Run
) -> None:
    url = f"http://127.0.0.1:{key_server.server_port}/keys"
    key_server.content = json.dumps({"keys": [to_jwk("one"), to_jwk("two")]}).encode()
    assert add_places(run, url)[0] == 0
    before = stored(client)
    assert before.keys() == {"issuer#one", "issuer#two"}
    assert run("issuers", "refresh", "azure")[1] == "issuer azure: 0 keys added or changed, 0 keys removed\n"
    assert stored(client) == before
    key_server.content = json.dumps({"keys": [to_jwk("two"), to_jwk("three")]}).encode()
    code, out, _ = run("issuers", "refresh", "azure", "--json")
    assert (code, json.loads(out)) == (0, {"name": "azure", "added": ["three"], "removed": ["one"]})
    after = stored(client)
    assert after.keys() == {"issuer#two", "issuer#three"}
    assert after["issuer#two"] == before["issuer#two"]
    assert after["issuer#three"]["grants"] == before["issuer#one"]["grants"]
    for status, content in (
        (500, key_server.content),
        (302, key_server.content),
        (200, b"{}"),
        (200, b" " * 1_000_001),
    ):
        key_server.status, key_server.content = status, content
        assert run("issuers", "refresh", "azure")[0] == 1
    assert stored(client) == after


def test_issuers_changes_leave_audit_entries(
    key_server: KeyServer, client: AdminClient, run: Run, tmp_path: Path
) -> None:
    key_server.content = json.dumps({"keys": [to_jwk("one")]}).encode()
    add_places(run, f"http://127.0.0.1:{key_server.server_port}/keys")
    # Refused, and a refresh that changes nothing.
    add_places(run, write_set(tmp_path / "keys.json", to_jwk("two")))
    run("issuers", "refresh", "azure")
    key_server.content = json.dumps({"keys": [to_jwk("two")]}).encode()
    run("issuers", "refresh", "azure")
    run("issuers", "remove", "azure")
    records = json.loads(run("audit", "azure", "--json")[1])
    # Entries of one second are in no order.
    assert sorted((each["action"], each["kind"], each["entry"]) for each in records) == [
        ("add", "issuer", "azure"),
        ("change", "issuer", "azure"),
        ("remove", "issuer", "azure"),
    ]
    assert sorted(each["detail"] for each in records) == ["1 key", "1 key", "2 keys"]


def test_issuers_refresh_without_url_is_refused(client: AdminClient, run: Run, tmp_path: Path) -> None:
    assert add_places(run, write_set(tmp_path / "keys.json", to_jwk("one")))[0] == 0
    for name in ("azure", "other"):
        assert run("issuers", "refresh", name)[0] == 1


def test_keys_issue_value_that_looks_like_a_token_is_refused(run: Run) -> None:
    assert run("keys", "issue", "--places", "all", "--value", "eyJhIjoxfQ.b.c")[0] == 2


def follow(document: str, run: Run, **replaced: str) -> None:
    """Run the document's commands on issuers."""
    text = (DOCS / document).read_text("utf-8")
    commands = re.findall(r"^\$ pushreg (issuers [^\n]*) --stack pushreg$", text, re.MULTILINE)
    assert commands
    for command in commands:
        words = [replaced.get(word, word) for word in shlex.split(command)]
        code, _, problem = run(*words)
        assert code == 0, problem


def put(engine: MemoryEngine, path: str, headers: dict[str, str], body: dict[str, Any]) -> int:
    gateway = Gateway(connect_functions(engine.endpoint))
    return gateway.send("PUT", path, {"content-type": "application/json", **headers}, json.dumps(body).encode())[0]


def test_migrate_kazoo_guide_lets_kazoo_token_register_a_phone(
    engine: MemoryEngine, client: AdminClient, run: Run, tmp_path: Path
) -> None:
    pem = tmp_path / "kazoo-key-1.pem"
    pem.write_text(public_pem("kazoo-key-1"))
    run("accounts", "add", ACCOUNT_ID)
    headers = {"x-auth-token": kazoo_signer(int(time.time()), ACCOUNT_ID).sign()}
    body = {"data": kazoo_data("mobile-1")}
    assert put(engine, DEVICE, headers, body) == 401
    follow("migrate-kazoo.md", run, **{"KEY_ID.pem": str(pem)})
    assert put(engine, DEVICE, headers, body) == 201


def test_migrate_places_guide_lets_user_token_register(
    engine: MemoryEngine, client: AdminClient, run: Run, tmp_path: Path
) -> None:
    signer = places_signer(int(time.time()), "Courier")
    url, audience, issuer = (
        "https://login.example.com/TENANT/discovery/v2.0/keys",
        "api://CLIENT_ID",
        "https://login.example.com/TENANT/v2.0",
    )
    run("places", "add", PLACE_ID)
    keys = write_set(tmp_path / "keys.json", to_jwk(signer.kid))
    follow("migrate-places.md", run, **{url: keys})
    for token, status in ((signer.sign(aud=audience, iss=issuer), 200), (signer.sign(iss=issuer), 401)):
        headers = {"authorization": f"Bearer {token}"}
        assert put(engine, TOKENS, headers, {"device_token": "token-1"}) == status


def test_demo_issuer_tokens_are_accepted_by_the_local_stack(
    engine: MemoryEngine, client: AdminClient, run: Run, tmp_path: Path
) -> None:
    with pytest.raises(OperatorError, match="start the local stack"):
        sign_token(tmp_path, "kazoo")
    issuers = list_issuers(tmp_path)
    run("accounts", "add", ACCOUNT_ID)
    run("places", "add", PLACE_ID)
    for issuer in issuers:
        DirectoryWriter(client, "DirectoryTable").add(issuer)
    token = sign_token(tmp_path, "kazoo")
    assert put(engine, DEVICE, {"x-auth-token": token}, {"data": kazoo_data("mobile-1")}) == 201
    headers = {"authorization": f"Bearer {sign_token(tmp_path, 'places')}"}
    assert put(engine, TOKENS, headers, {"device_token": "token-1"}) == 200
    # The key pair is kept, readable by its owner alone.
    assert [each.public_key for each in list_issuers(tmp_path)] == [each.public_key for each in issuers]
    (kept,) = tmp_path.iterdir()
    assert kept.stat().st_mode & 0o077 == 0


def test_demo_token_is_printed(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("demo-token")[0] == 1
    list_issuers(tmp_path / ".data")
    code, out, _ = run("demo-token", "--family", "places")
    payload = out.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert (code, claims["roles"]) == (0, ["Demo"])
