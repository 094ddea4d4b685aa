"""The direct transport: sends a DynamoDB call of a boto3 client on a kept connection, signed with a kept key.

boto3 still builds the request and turns an error's body into the exception; in between, botocore lets a `before-call`
handler answer in place of its own signer, retries and HTTP session (docs/decisions/direct-transport.md).
"""

from __future__ import annotations

import hmac
import json
import ssl
import time
import weakref
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from hashlib import sha256
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from botocore.awsrequest import HeadersDict
from botocore.exceptions import (
    ChecksumError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
    SSLError,
)
from botocore.httpsession import where
from botocore.model import OperationModel
from botocore.parsers import ResponseParserError, create_parser
from urllib3.util import wait_for_read

# Calls whose successful answers hold strings, numbers and lists alone: plain JSON, as Pushreg stores no binary values.
OPERATIONS = (
    "BatchGetItem",
    "DeleteItem",
    "GetItem",
    "PutItem",
    "Query",
    "Scan",
    "TransactGetItems",
    "TransactWriteItems",
    "UpdateItem",
)
_SERVICE = "dynamodb"
_SIGNED = "content-type;host;x-amz-date;x-amz-target"
_SIGNED_WITH_TOKEN = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target"  # noqa: S105 Names of headers.


class Answer(NamedTuple):
    """An HTTP response; `status_code` is what botocore reads of it."""

    status_code: int
    headers: Mapping[str, str]
    body: bytes


class Secrets(Protocol):
    """What signs one request, read at once so that a renewal in between cannot mix two sets."""

    access_key: str
    secret_key: str
    token: str | None


# Sends headers and a body to the endpoint.
Exchange = Callable[[Mapping[str, str], bytes], Answer]


def install(client: Any, credentials: Any, exchange: Exchange) -> None:
    """Let the client's item calls go through `exchange`; its other calls stay botocore's."""
    endpoint = f"{client.meta.endpoint_url.rstrip('/')}/"
    signer = Signer(credentials, client.meta.region_name, get_host(endpoint))

    def call(model: OperationModel, params: dict[str, Any], **_: Any) -> tuple[Answer, dict[str, Any]] | None:
        if params["url"] != endpoint:  # An account's own endpoint, which only endpoint rules know: botocore's to send.
            return None
        built = params["headers"]
        headers = {name: built[name] for name in ("X-Amz-Target", "Content-Type", "User-Agent")}
        signer.sign(headers, params["body"])
        answer = exchange(headers, params["body"])
        return answer, parse(answer, model)

    for operation in OPERATIONS:
        client.meta.events.register(f"before-call.{_SERVICE}.{operation}", call)


def parse(answer: Answer, model: OperationModel) -> dict[str, Any]:
    """Return the answer's content; ChecksumError or ResponseParserError if it was damaged on the way."""
    expected, actual = answer.headers.get("x-amz-crc32"), str(zlib.crc32(answer.body))
    if expected is not None and expected != actual:
        raise ChecksumError(checksum_type="crc32", expected_checksum=expected, actual_checksum=actual)
    if answer.status_code < 300:
        try:
            content = json.loads(answer.body)
        except ValueError as error:
            raise ResponseParserError("the answer is not JSON") from error
        if not isinstance(content, dict):
            raise ResponseParserError("the answer is not a JSON object")
        return content
    parser = create_parser("json")
    response = {"status_code": answer.status_code, "headers": HeadersDict(answer.headers), "body": answer.body}
    output: Any = model.output_shape
    parsed: dict[str, Any] = parser.parse(response, output)
    # As botocore does: only its own shape has an error's further members, such as the reasons of a cancellation.
    shape = model.service_model.shape_for_error_code(parsed.get("Error", {}).get("Code"))
    if shape is not None:
        parsed.update(parser.parse(response, shape))
    return parsed


def get_host(url: str) -> str:
    """Return the URL's `Host` header: a default port is left out (RFC 9110, section 7.2)."""
    parts = urlsplit(url)
    return parts.netloc.removesuffix({"http": ":80", "https": ":443"}[parts.scheme])


class Signer:
    """Signs `POST /` requests by signature version 4 (AWS docs, "Create a signed AWS API request")."""

    def __init__(self, credentials: Any, region: str, host: str) -> None:
        self._credentials = credentials
        self._region = region
        self._host = host
        # Replaced as a whole, so that threads never see one day's scope with another's key.
        self._kept: tuple[Any, str, str, bytes] | None = None

    def sign(self, headers: dict[str, str], body: bytes, moment: str | None = None) -> None:
        """Add date, security token and signature to the headers; NoCredentialsError if there are no credentials."""
        if self._credentials is None:
            raise NoCredentialsError
        # Renews credentials that are about to expire.
        secrets: Secrets = self._credentials.get_frozen_credentials()
        moment = moment or time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        scope, key = self._derive_key(secrets, moment[:8])
        headers["X-Amz-Date"] = moment
        signed, token = _SIGNED, ""
        if secrets.token:
            headers["X-Amz-Security-Token"] = secrets.token
            signed, token = _SIGNED_WITH_TOKEN, f"x-amz-security-token:{secrets.token}\n"
        canonical = (
            f"POST\n/\n\ncontent-type:{headers['Content-Type']}\nhost:{self._host}\nx-amz-date:{moment}\n{token}"
            f"x-amz-target:{headers['X-Amz-Target']}\n\n{signed}\n{sha256(body).hexdigest()}"
        )
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={secrets.access_key}/{scope}, SignedHeaders={signed}, Signature={signature}"
        )

    def _derive_key(self, secrets: Secrets, day: str) -> tuple[str, bytes]:
        kept = self._kept
        if kept is not None and kept[0] == secrets.secret_key and kept[1] == day:
            return kept[2], kept[3]
        scope = f"{day}/{self._region}/{_SERVICE}/aws4_request"
        key = f"AWS4{secrets.secret_key}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        self._kept = secrets.secret_key, day, scope, key
        return scope, key


class _Connection(HTTPConnection):
    """Sends a request's head and body together, in one packet and one TLS record where http.client takes two."""

    _parts: list[bytes] | None = None

    def exchange(self, headers: Mapping[str, str], body: bytes) -> HTTPResponse:
        """Send `POST /` and return the response, its body unread."""
        self._parts = []
        self.request("POST", "/", body, headers)
        request, self._parts = b"".join(self._parts), None
        self.send(request)
        return self.getresponse()

    def send(self, data: Any) -> None:
        """Send the data, or keep it until the request is complete."""
        if self._parts is None:
            super().send(data)
        else:
            self._parts.append(data)


class _SecureConnection(_Connection, HTTPSConnection):
    """The same by TLS."""


class Connections:
    """Kept connections to one endpoint, as many as there were requests at once; safe to share between threads."""

    def __init__(self, url: str, connect_timeout: float, read_timeout: float, ca_bundle: str | None = None) -> None:
        parts = urlsplit(url)
        self._url = url
        self._host, self._port, self._secure = parts.hostname or "", parts.port, parts.scheme == "https"
        self._connect_timeout, self._read_timeout = connect_timeout, read_timeout
        self._ca_bundle = ca_bundle or where()
        self._context: ssl.SSLContext | None = None
        # The most recently used connection first: the others may be closed by the server.
        self._idle: deque[_Connection] = deque()
        weakref.finalize(self, _close_all, self._idle)

    def exchange(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send one request and return the answer; failures are raised as botocore raises them.

        Never sends a request twice: whether it may be repeated is known to Session alone.
        """
        connection = self._take()
        try:
            with connection.exchange(headers, body) as response:
                if response.length is None and not response.chunked:
                    # Cut off within the headers, which http.client takes for a body that ends with the connection.
                    raise HTTPException("no length")
                answered = {name.lower(): value for name, value in response.getheaders()}
                answer = Answer(response.status, answered, response.read())
        except TimeoutError as error:
            connection.close()
            raise ReadTimeoutError(endpoint_url=self._url, error=error) from error
        except (OSError, HTTPException) as error:
            connection.close()
            raise ConnectionClosedError(endpoint_url=self._url, error=error) from error
        except BaseException:
            # A half-read answer must never be taken for the answer to the next request.
            connection.close()
            raise
        self._idle.append(connection)
        return answer

    def close(self) -> None:
        """Close the connections that are not in use."""
        _close_all(self._idle)

    def _take(self) -> _Connection:
        try:
            connection = self._idle.pop()
        except IndexError:
            return self._connect()
        # A server speaks unasked only to close; urllib3 looks for the same before it uses a connection again.
        if connection.sock is not None and not wait_for_read(connection.sock, 0.0):
            return connection
        connection.close()
        return self._connect()

    def _connect(self) -> _Connection:
        connection = self._new_connection()
        try:
            connection.connect()
        except TimeoutError as error:
            connection.close()
            raise ConnectTimeoutError(endpoint_url=self._url, error=error) from error
        except ssl.SSLError as error:
            connection.close()
            raise SSLError(endpoint_url=self._url, error=error) from error
        except OSError as error:
            connection.close()
            raise EndpointConnectionError(endpoint_url=self._url, error=error) from error
        connection.sock.settimeout(self._read_timeout)
        return connection

    def _new_connection(self) -> _Connection:
        if not self._secure:
            return _Connection(self._host, self._port, timeout=self._connect_timeout)
        # Made at the first request: reading the certificates takes a tenth of a cold start.
        self._context = self._context or ssl.create_default_context(cafile=self._ca_bundle)
        return _SecureConnection(self._host, self._port, timeout=self._connect_timeout, context=self._context)


def _close_all(idle: deque[_Connection]) -> None:
    while idle:
        idle.pop().close()
