"""The token issuer of the local stack: a key pair made at the first start and kept with the data, and its tokens."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from pushreg.clock import Clock, now, to_iso
from pushreg.models.directory import EVERY_PLACE, Grant, Issuer, TokenFamily
from pushreg.schema import digest
from pushreg_local.demo import ACCOUNT_ID
from pushreg_local.errors import OperatorError

FILE_NAME = "demo-issuer.pem"
ISSUER, AUDIENCE, ROLE = "pushreg-demo", "pushreg-demo", "Demo"
# Azure AD's and Kazoo's tokens live about as long.
LIFETIME = 3600
_KEY_BITS = 2048


def list_issuers(folder: Path, clock: Clock = now) -> list[Issuer]:
    """Return the demo's issuers, one for each family that accepts tokens; makes the key pair if there is none."""
    pem = _public_pem(_load_or_create(folder / FILE_NAME))
    moment = to_iso(clock())
    grants = (Grant(ROLE, "write", frozenset({EVERY_PLACE})),)
    return [
        Issuer(_kid(pem, "kazoo"), moment, "demo-kazoo", "kazoo", "RS256", pem, ISSUER),
        Issuer(_kid(pem, "places"), moment, "demo-places", "places", "RS256", pem, ISSUER, AUDIENCE, grants),
    ]


def sign_token(folder: Path, family: TokenFamily, clock: Clock = now) -> str:
    """Return a token that the local stack accepts for an hour: for the demo's account, or for every place.

    OperatorError if the local stack, which makes the key pair, never ran here.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise OperatorError(f"{path} does not exist: start the local stack here first, with its demo data")
    key = _load(path)
    issued_at = int(clock().timestamp())
    claims: dict[str, object] = {"iss": ISSUER, "iat": issued_at, "exp": issued_at + LIFETIME}
    if family == "kazoo":
        claims |= {"account_id": ACCOUNT_ID, "owner_id": "demo-user"}
    else:
        claims |= {"aud": AUDIENCE, "nbf": issued_at, "roles": [ROLE]}
    return jwt.encode(claims, key, "RS256", headers={"kid": _kid(_public_pem(key), family)})


def _load_or_create(path: Path) -> RSAPrivateKey:
    if not path.is_file():
        key = generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.parent.mkdir(parents=True, exist_ok=True)
        # Under its name only when complete, and never in place of another stack's that started at the same time.
        draft = path.with_suffix(f".{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_bytes(pem)
        with suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
    return _load(path)


def _load(path: Path) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise OperatorError(f"{path} holds no private key: delete it, and start the local stack again") from error
    if not isinstance(key, RSAPrivateKey):
        raise OperatorError(f"{path} holds no RSA key: delete it, and start the local stack again")
    return key


def _public_pem(key: RSAPrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _kid(pem: str, family: TokenFamily) -> str:
    # Of the key, so that a new pair is a new issuer in a database that has the old one.
    return f"demo-{family}-{digest(pem)[:12]}"
