"""Reads the public keys of token issuers: PEM files, and JSON Web Key Sets (RFC 7517) from a file or a URL."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jwt
import urllib3
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from pushreg.codecs import json
from pushreg.errors import MalformedError
from pushreg.schema import is_kid
from pushreg_local.errors import OperatorError

RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
EDWARDS_ALGORITHM = "EdDSA"
ALGORITHMS = (*RSA_ALGORITHMS, *CURVES.values(), EDWARDS_ALGORITHM)
MIN_RSA_BITS = 2048
MAX_SET = 1_000_000
# DynamoDB's limit of a transaction leaves room for the old keys that new ones replace.
MAX_KEYS = 40
SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key (PEM) under the `kid` that tokens name it by, and the one algorithm to use it with."""

    kid: str
    algorithm: str
    pem: str


class KeySet(NamedTuple):
    """The usable keys of a JSON Web Key Set, and in words why others for signatures are not usable."""

    keys: list[PublicKey]
    problems: list[str]


def read_pem(path: Path, kid: str | None, algorithm: str) -> PublicKey:
    """Return the key of a PEM file; without a kid the file's name before its suffix is taken.

    `algorithm` is for RSA keys; keys on a curve have only one. OperatorError if the file holds no usable public key.
    """
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise OperatorError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise OperatorError(f"{path} is no public key in PEM form (BEGIN PUBLIC KEY)") from error
    return _to_public_key(path.stem if kid is None else kid, key, algorithm, str(path))


def check_key(kid: str, algorithm: str, pem: str) -> None:
    """Raise OperatorError unless the PEM form holds a public key that the algorithm can be used with."""
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise OperatorError(f"{kid} is no public key in PEM form") from error
    usable = _to_public_key(kid, key, algorithm, "the directory")
    if usable.algorithm != algorithm:
        raise OperatorError(f"{kid} is for {usable.algorithm}, not for {algorithm}")


def read_key_set(source: str, seconds: float = SECONDS) -> KeySet:
    """Return the signature keys of a JSON Web Key Set in a file or at an https URL, which has so long to send it.

    Keys that are not usable are left out (RFC 7517 section 5). OperatorError if none is usable, or one is private.
    """
    if "://" in source:
        content = _fetch(source, seconds)
    else:
        try:
            content = Path(source).read_bytes()
        except OSError as error:
            raise OperatorError(f"{source} cannot be read: {error.strerror}") from error
    try:
        data = json.decode(content)
    except MalformedError as error:
        raise OperatorError(f"{source} is no JSON: {error.reason}") from error
    members = data.get("keys") if isinstance(data, dict) else None
    if not isinstance(members, list) or not all(isinstance(member, dict) for member in members):
        raise OperatorError(f"{source} is no JSON Web Key Set: it has no array of `keys`")
    keys: list[PublicKey] = []
    problems: list[str] = []
    for member in members:
        if not _is_for_signatures(member):
            continue
        if "d" in member:
            raise OperatorError(f"{source}: {member['kid']!r} is a private key: whoever reads it can sign tokens")
        try:
            keys.append(_read_jwk(member, source))
        except OperatorError as error:
            problems.append(str(error))
    if not keys:
        raise OperatorError("; ".join(problems) or f"{source} has no keys for signatures with a `kid`")
    if len(keys) > MAX_KEYS or len({key.kid for key in keys}) < len(keys):
        raise OperatorError(f"{source} has more than {MAX_KEYS} keys, or two with one `kid`")
    return KeySet(keys, problems)


def _is_for_signatures(member: dict[str, Any]) -> bool:
    return member.get("kty") in ("RSA", "EC", "OKP") and member.get("use", "sig") == "sig" and "kid" in member


def _read_jwk(member: dict[str, Any], source: str) -> PublicKey:
    if member.get("alg") not in (None, *ALGORITHMS):
        raise OperatorError(f"{source}: {member['kid']!r} is for {member['alg']!r}, not for {', '.join(ALGORITHMS)}")
    try:
        key = jwt.PyJWK.from_dict(member)
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise OperatorError(f"{source}: the key {member['kid']!r} is not usable: {error}") from error
    return _to_public_key(member["kid"], key.key, key.algorithm_name, source)


def _to_public_key(kid: Any, key: Any, algorithm: str, source: str) -> PublicKey:
    if not isinstance(kid, str) or not is_kid(kid):
        raise OperatorError(f"{source}: {kid!r} is no kid: printable characters without blanks")
    if isinstance(key, RSAPublicKey):
        if key.key_size < MIN_RSA_BITS or algorithm not in RSA_ALGORITHMS:
            raise OperatorError(f"{source}: {kid} has {key.key_size} bits and {algorithm}; {MIN_RSA_BITS} are required")
    elif isinstance(key, EllipticCurvePublicKey) and key.curve.name in CURVES:
        algorithm = CURVES[key.curve.name]
    elif isinstance(key, Ed25519PublicKey | Ed448PublicKey):
        algorithm = EDWARDS_ALGORITHM
    else:
        raise OperatorError(f"{source}: {kid} is no public key for RSA, ECDSA or EdDSA signatures")
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return PublicKey(kid, algorithm, pem)


def _fetch(url: str, seconds: float) -> bytes:
    try:
        parts = urllib3.util.parse_url(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.host in ("127.0.0.1", "localhost")):
            raise OperatorError(f"{url} is not https: anybody on the way could replace the keys")
        # A redirect could lead to keys of somebody else.
        with urllib3.PoolManager(timeout=seconds, retries=False) as pool:
            answer = pool.request("GET", url, headers={"accept": "application/json"}, preload_content=False)
            content = _read_content(answer, url, time.monotonic() + seconds)
    except urllib3.exceptions.HTTPError as error:
        raise OperatorError(f"{url} cannot be reached: {type(error).__name__}") from error
    if answer.status != 200 or len(content) > MAX_SET:
        raise OperatorError(f"{url} answers {answer.status} with {len(content):,} bytes where a key set was expected")
    return content


def _read_content(answer: urllib3.BaseHTTPResponse, url: str, deadline: float) -> bytes:
    content = b""
    # The timeout is for each call of the socket: a server that sends a byte now and then never reaches it.
    while len(content) <= MAX_SET and (part := answer.read1(MAX_SET)):
        content += part
        if time.monotonic() > deadline:
            raise OperatorError(f"{url} sends too slowly")
    return content
