"""Token issuers with keys of their own, and the tokens that they sign: good ones and bad ones."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pushreg.models.directory import Grant, Issuer

MOMENT = "2024-01-01T00:00:00Z"
AUDIENCE, ISSUER = "api://pushreg-tests", "https://login.example.com/tenant/v2.0"


@cache
def private_key(name: str) -> RSAPrivateKey:
    """Return the key of the name, the same for the life of the process."""
    return generate_private_key(public_exponent=65537, key_size=2048)


def public_pem(name: str) -> str:
    """Return the public part of the key of the name."""
    encoded = private_key(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return encoded.decode()


def kazoo_issuer(kid: str = "kazoo-key-1", **changes: Any) -> Issuer:
    """Return an issuer of Kazoo tokens."""
    return Issuer(kid, MOMENT, "kazoo", "kazoo", "RS256", public_pem(kid), issuer="kazoo")._replace(**changes)


def places_issuer(*grants: str, kid: str = "places-key-1", **changes: Any) -> Issuer:
    """Return an issuer of tokens for places; grants in their stored form."""
    rules = tuple(Grant.from_text(text) for text in grants)
    issuer = Issuer(kid, MOMENT, "azure", "places", "RS256", public_pem(kid), ISSUER, AUDIENCE, rules)
    return issuer._replace(**changes)


@dataclass(frozen=True)
class Signer:
    """Signs tokens with one issuer's key at one time, in seconds."""

    kid: str
    claims: Mapping[str, Any]

    def sign(self, algorithm: str = "RS256", key: Any = None, kid: Any = None, **changes: Any) -> str:
        """Return a token; a claim changed to None is left out."""
        claims = {name: value for name, value in {**self.claims, **changes}.items() if value is not None}
        return jwt.encode(claims, key or private_key(self.kid), algorithm, headers={"kid": kid or self.kid})

    def sign_text(self, payload: str, header: str | None = None) -> str:
        """Return a token with this very payload, which need not be JSON."""
        sent = header or json.dumps({"alg": "RS256", "typ": "JWT", "kid": self.kid})
        return self.sign_bytes(sent.encode(), payload.encode())

    def sign_bytes(self, header: bytes, payload: bytes) -> str:
        """Return a token of these very bytes under RS256, whatever the header says."""
        signing_input = f"{encode(header)}.{encode(payload)}"
        algorithm = jwt.get_algorithm_by_name("RS256")
        return f"{signing_input}.{encode(algorithm.sign(signing_input.encode(), private_key(self.kid)))}"

    def sign_with_public_key(self) -> str:
        """Return a token under HS256 whose secret is the public key, which PyJWT refuses to make."""
        header = json.dumps({"alg": "HS256", "typ": "JWT", "kid": self.kid}).encode()
        signing_input = f"{encode(header)}.{encode(json.dumps(dict(self.claims)).encode())}"
        mac = hmac.new(public_pem(self.kid).encode(), signing_input.encode(), hashlib.sha256).digest()
        return f"{signing_input}.{encode(mac)}"

    def unsign(self, algorithm: str = "none") -> str:
        """Return a token without a signature."""
        header = json.dumps({"alg": algorithm, "typ": "JWT", "kid": self.kid}).encode()
        return f"{encode(header)}.{encode(json.dumps(dict(self.claims)).encode())}."


def kazoo_signer(epoch: int, account_id: str, kid: str = "kazoo-key-1") -> Signer:
    """Return a signer of a Kazoo user's tokens (docs/spec/kazoo.md)."""
    claims = {
        "iss": "kazoo",
        "account_id": account_id,
        "owner_id": "0f" * 16,
        "identity_sig": "c2lnbmF0dXJlIG9mIHRoZSB1c2VyJ3Mgc2VjcmV0",
        "exp": epoch + 3600,
    }
    return Signer(kid, claims)


def places_signer(epoch: int, *roles: str, kid: str = "places-key-1") -> Signer:
    """Return a signer of a user's tokens with Azure AD's claims."""
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": epoch,
        "nbf": epoch,
        "exp": epoch + 3600,
        "roles": list(roles),
        "sub": "user",
    }
    return Signer(kid, claims)


def list_bad_tokens(signer: Signer, epoch: int) -> dict[str, str]:
    """Return tokens that no issuer's tokens may be taken for, by the kind of credential that each is."""
    good = signer.sign()
    payload = json.dumps(dict(signer.claims))
    head, body, signature = good.split(".")
    return {
        "malformed: token under another algorithm": signer.sign("RS384"),
        "malformed: token under HS256 with the public key": signer.sign_with_public_key(),
        "malformed: token under none": signer.unsign(),
        "malformed: token without signature": f"{head}.{body}.",
        "malformed: token without algorithm": signer.sign_text(payload, json.dumps({"kid": signer.kid})),
        "malformed: token with another payload": f"{head}.{encode(payload.replace('1', '2').encode())}.{signature}",
        "malformed: token with truncated signature": good[:-4],
        "malformed: token in two parts": f"{head}.{body}",
        "malformed: token in four parts": f"{good}.{signature}",
        "malformed: token of 9 KB": signer.sign(padding="x" * 7000),
        "malformed: token with duplicate claims": signer.sign_text(f'{payload[:-1]}, "exp": {epoch + 3600}}}'),
        "malformed: token whose payload is no JSON": signer.sign_text("payload"),
        "malformed: token whose payload is an array": signer.sign_text("[]"),
        "malformed: token with a critical header": signer.sign_text(
            payload, json.dumps({"alg": "RS256", "kid": signer.kid, "crit": ["unheard"], "unheard": True})
        ),
        "malformed: token with a detached payload": signer.sign_text(
            payload, json.dumps({"alg": "RS256", "kid": signer.kid, "crit": ["b64"], "b64": False})
        ),
        "malformed: expired token": signer.sign(exp=epoch - 60),
        "malformed: token without expiry": signer.sign(exp=None),
        "malformed: token whose expiry is a text": signer.sign_text(
            json.dumps({**signer.claims, "exp": str(epoch + 3600)})
        ),
        "malformed: token that never expires": signer.sign_text(payload.replace(str(epoch + 3600), "1e999")),
        "malformed: token not yet valid": signer.sign(nbf=epoch + 61),
        "malformed: token of another issuer": signer.sign(iss="another"),
        "malformed: token for another audience": signer.sign(aud="api://another"),
        "unknown: token of an unknown key": signer.sign(kid="unknown"),
        "unknown: token of an unknown key under a known kid": signer.sign(key=private_key("unknown")),
        "unknown: token whose kid is no text": signer.sign_text(payload, '{"alg":"RS256","kid":1}'),
        "unknown: token without kid": signer.sign_text(payload, '{"alg":"RS256"}'),
        "unknown: token with the kid of a credential": signer.sign_text(payload, '{"alg":"RS256","kid":"#"}'),
        "revoked: token of a removed issuer": signer.sign(kid="removed-key", key=private_key("removed-key")),
    }


def encode(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(part: str) -> bytes:
    """Return the bytes that the base64url stands for."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
