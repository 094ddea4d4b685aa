from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Literal

import pytest

from pushreg.dynamodb import Session
from pushreg.errors import ForbiddenError, UnauthenticatedError
from pushreg.models.directory import Credential, Issuer
from pushreg.stores.directory import Directory, to_item
from pushreg.tokens import CACHE_ENTRIES, MAX_TOKEN, TokenVerifier, is_token
from tests.support.clients import ReadOnlyClient
from tests.support.issuers import (
    Signer,
    kazoo_issuer,
    kazoo_signer,
    list_bad_tokens,
    places_issuer,
    places_signer,
)
from tests.support.time import Time

EPOCH = 1_767_225_600
ACCOUNT = "a" * 32
PLACE = "1ee68c4e-7008-4227-a92d-e1b13ac64f30"
KAZOO = kazoo_signer(EPOCH, ACCOUNT)
PLACES = places_signer(EPOCH, "Courier")
ISSUERS = (kazoo_issuer(), places_issuer(f"Courier=write:{PLACE}", "Manager=admin:all", "Clerk=read:all"))


class Verifying:
    """A verifier over a directory with the issuers, whose calls are counted."""

    def __init__(self, *issuers: Issuer) -> None:
        self.client = ReadOnlyClient(to_item(issuer) for issuer in issuers or ISSUERS)
        self.time = Time()
        self.directory = Directory("directory", lambda: self.time.passed)
        self._verifier = TokenVerifier(self.directory)

    def verify(
        self, token: str, epoch: int = EPOCH, family: Literal["kazoo", "places", "engagement"] = "kazoo"
    ) -> tuple[Credential, ...]:
        self.client.calls = 0
        return self._verifier.verify(Session(self.client.client), family, token, epoch)


def test_verify_kazoo_token_permits_writing_in_its_account() -> None:
    (credential,) = Verifying().verify(KAZOO.sign())
    assert (credential.family, credential.scope, credential.account_id) == ("kazoo", "write", ACCOUNT)
    assert credential.key_id == ISSUERS[0].key_id


@pytest.mark.parametrize(
    ("roles", "rights"),
    [
        (["Courier"], [("write", {PLACE})]),
        (["Manager"], [("admin", {"all"})]),
        (["Nobody", "Clerk", "Courier"], [("read", {"all"}), ("write", {PLACE})]),
    ],
)
def test_verify_places_token_permits_what_its_roles_do(roles: list[str], rights: list[tuple[str, set[str]]]) -> None:
    credentials = Verifying().verify(places_signer(EPOCH, *roles).sign(), family="places")
    assert sorted((each.scope, set(each.places)) for each in credentials) == rights


@pytest.mark.parametrize("roles", [[], ["Nobody"], "Courier", {"Courier": True}, 1, [["Courier"]], None])
def test_verify_places_token_without_mapped_role_is_forbidden(roles: object) -> None:
    with pytest.raises(ForbiddenError):
        Verifying().verify(PLACES.sign(roles=roles), family="places")


@pytest.mark.parametrize("account_id", [None, "", "short", 1, ["a"], ACCOUNT + "/"])
def test_verify_kazoo_token_without_account_is_unauthenticated(account_id: object) -> None:
    with pytest.raises(UnauthenticatedError):
        Verifying().verify(KAZOO.sign(account_id=account_id))


def list_bad_of_three_parts(signer: Signer) -> dict[str, str]:
    """Return the bad tokens that reach the verifier; the others are looked up as keys."""
    bad = list_bad_tokens(signer, EPOCH)
    others = {"malformed: token in two parts", "malformed: token in four parts"}
    assert {name for name, token in bad.items() if not is_token(token)} == others
    return {name: token for name, token in bad.items() if name not in others}


@pytest.mark.parametrize("name", list_bad_of_three_parts(KAZOO))
def test_verify_bad_kazoo_token_is_unauthenticated(name: str) -> None:
    verifying = Verifying()
    for _ in range(2):
        with pytest.raises(UnauthenticatedError):
            verifying.verify(list_bad_of_three_parts(KAZOO)[name])
        assert verifying.client.calls <= 1


@pytest.mark.parametrize("name", list_bad_of_three_parts(PLACES))
def test_verify_bad_places_token_is_unauthenticated(name: str) -> None:
    with pytest.raises(UnauthenticatedError):
        Verifying().verify(list_bad_of_three_parts(PLACES)[name], family="places")


@pytest.mark.parametrize(
    "members",
    [
        {"alg": "rs256"},
        {"alg": ["RS256"]},
        {"alg": None},
        {"crit": []},
        {"crit": "exp"},
        {"crit": [["exp"]]},
        {"crit": ["exp"], "exp": EPOCH},
        {"b64": False},
        {"kid": [KAZOO.kid]},
        {"kid": True},
        {"kid": f"../{KAZOO.kid}"},
        {"kid": KAZOO.kid.upper()},
    ],
)
def test_verify_token_with_other_header_is_unauthenticated(members: dict[str, Any]) -> None:
    header = json.dumps({"alg": "RS256", "kid": KAZOO.kid, **members})
    with pytest.raises(UnauthenticatedError):
        Verifying().verify(KAZOO.sign_text(json.dumps(KAZOO.claims), header))


@pytest.mark.parametrize("members", [{"jku": "https://x"}, {"x5u": "https://x"}, {"jwk": {"kty": "RSA"}}, {"x5c": []}])
def test_verify_token_that_brings_a_key_is_verified_with_the_stored_one(members: dict[str, Any]) -> None:
    header = json.dumps({"alg": "RS256", "kid": KAZOO.kid, **members})
    payload = json.dumps(KAZOO.claims)
    assert Verifying().verify(KAZOO.sign_text(payload, header))
    forged = Signer("forger", {}).sign_text(payload, header)
    with pytest.raises(UnauthenticatedError):
        Verifying().verify(forged)


@pytest.mark.parametrize(
    "members",
    [
        {"exp": True},
        {"exp": [EPOCH + 3600]},
        {"exp": -1},
        {"exp": None},
        {"nbf": None},
        {"nbf": "0"},
        {"nbf": 10**400},
        {"iss": ["kazoo"]},
        {"iss": None},
        {"aud": "another"},
        {"account_id": "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"},
    ],
)
def test_verify_token_with_other_claims_is_unauthenticated(members: dict[str, Any]) -> None:
    with pytest.raises(UnauthenticatedError):
        Verifying().verify(KAZOO.sign_text(json.dumps({**KAZOO.claims, **members})))


def test_verify_token_of_other_family_is_unauthenticated() -> None:
    for token, family in ((KAZOO.sign(), "places"), (PLACES.sign(), "kazoo"), (KAZOO.sign(), "engagement")):
        with pytest.raises(UnauthenticatedError):
            Verifying().verify(token, family=family)  # type: ignore[arg-type]


def test_verify_verified_token_is_unauthenticated_in_other_family() -> None:
    verifying = Verifying()
    token = KAZOO.sign()
    verifying.verify(token)
    with pytest.raises(UnauthenticatedError):
        verifying.verify(token, family="places")


def test_verify_algorithm_is_the_issuers() -> None:
    verifying = Verifying(kazoo_issuer(algorithm="RS512"))
    assert verifying.verify(KAZOO.sign("RS512"))
    with pytest.raises(UnauthenticatedError):
        verifying.verify(KAZOO.sign("RS256"))


@pytest.mark.parametrize(("claims", "epoch"), [({"exp": EPOCH}, EPOCH + 59), ({"nbf": EPOCH + 60}, EPOCH)])
def test_verify_allows_one_minute_of_clock_difference(claims: dict[str, Any], epoch: int) -> None:
    assert Verifying().verify(KAZOO.sign(**claims), epoch)


def test_verify_remembered_token_makes_no_call_and_expires() -> None:
    verifying = Verifying()
    token = KAZOO.sign(exp=EPOCH + 10)
    verifying.verify(token)
    assert verifying.client.calls == 1
    verifying.verify(token, EPOCH + 69)
    assert verifying.client.calls == 0
    with pytest.raises(UnauthenticatedError):
        verifying.verify(token, EPOCH + 70)


def test_verify_token_of_removed_issuer_ends_with_cached_entry() -> None:
    verifying = Verifying()
    token = KAZOO.sign()
    verifying.verify(token)
    verifying.client.items.clear()
    verifying.time.passed += 59.9
    assert verifying.verify(token)
    verifying.time.passed += 0.1
    with pytest.raises(UnauthenticatedError):
        verifying.verify(token)


def test_verify_remembered_token_is_verified_again_when_issuer_changed() -> None:
    verifying = Verifying()
    token = KAZOO.sign()
    verifying.verify(token)
    changed = kazoo_issuer(issuer="another")
    verifying.client.items[f"issuer#{changed.kid}"] = to_item(changed)
    verifying.time.passed += 60
    # Another token has the entry read again first.
    with pytest.raises(UnauthenticatedError):
        verifying.verify(KAZOO.sign(owner_id="1f" * 16))
    with pytest.raises(UnauthenticatedError):
        verifying.verify(token)


def test_verify_unknown_issuer_is_not_remembered() -> None:
    verifying = Verifying(places_issuer())
    for _ in range(2):
        with pytest.raises(UnauthenticatedError):
            verifying.verify(KAZOO.sign())
        assert verifying.client.calls == 1
    verifying.client.items[f"issuer#{KAZOO.kid}"] = to_item(kazoo_issuer())
    assert verifying.verify(KAZOO.sign())


def test_verify_oversized_token_reads_nothing() -> None:
    verifying = Verifying()
    token = KAZOO.sign(padding="x" * MAX_TOKEN)
    with pytest.raises(UnauthenticatedError):
        verifying.verify(token)
    assert verifying.client.calls == 0


@pytest.mark.parametrize("kid", ["", "a b", "a\n", "é", "k" * 256])
def test_verify_malformed_kid_reads_nothing(kid: str) -> None:
    verifying = Verifying()
    token = Signer(KAZOO.kid, KAZOO.claims).sign_text("{}", '{"alg":"RS256","kid":"' + kid.replace("\n", "\\n") + '"}')
    with pytest.raises(UnauthenticatedError):
        verifying.verify(token)
    assert verifying.client.calls == 0


def test_verify_remembers_bounded_number_of_tokens() -> None:
    verifying = Verifying()
    verifier = verifying._verifier
    session = Session(verifying.client.client)
    known = verifier.verify(session, "kazoo", KAZOO.sign(), EPOCH)
    entry = next(iter(verifier._verified.values()))
    verifier._verified.update({str(number): entry for number in range(CACHE_ENTRIES)})
    assert verifier.verify(session, "kazoo", KAZOO.sign(owner_id="2f" * 16), EPOCH) == known
    assert len(verifier._verified) == 1


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        (KAZOO.sign(), True),
        (KAZOO.unsign(), True),
        ("eyJ.a.b", True),
        ("eyJ.a", False),
        ("eyJ.a.b.c", False),
        ("a.b.c", False),
        ("eyJ.a.b ", False),
        ("eyJ.a.b\n", False),
        ("eyJ.a=.b", False),
        ("eyé.a.b", False),
        ("demo-kazoo-token", False),
        ("", False),
    ],
)
def test_is_token_requires_three_parts_of_base64url(secret: str, expected: bool) -> None:
    assert is_token(secret) is expected


def test_import_of_function_does_not_import_token_libraries() -> None:
    code = "import sys, kazoo.app, places.app; print(*{'jwt', 'cryptography'} & sys.modules.keys())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
