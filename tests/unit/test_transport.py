"""The direct transport against botocore's own, and against servers that misbehave."""

from __future__ import annotations

import gc
import json
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import (
    ChecksumError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
    SSLError,
)
from botocore.parsers import ResponseParserError

from pushreg.config import Settings
from pushreg.dynamodb import Session, connect
from pushreg.errors import StoreError
from pushreg.transport import OPERATIONS, Answer, Connections, Signer, get_host, install

SETTINGS = {"FAMILY": "test", "TABLE": "table", "DIRECTORY_TABLE": "directory"}
KEY = {"record": {"S": "device#desk"}}
GET = {"TableName": "t", "Key": KEY}
HEADERS = {
    "X-Amz-Target": "DynamoDB_20120810.GetItem",
    "Content-Type": "application/x-amz-json-1.0",
    "User-Agent": "pushreg",
}
Act = Callable[["Peer"], None]


class Peer:
    """One accepted connection; `number` counts connections from 1."""

    def __init__(self, connection: socket.socket, number: int) -> None:
        self.number = number
        self._connection = connection
        self._file = connection.makefile("rb")

    def read(self) -> tuple[dict[str, str], bytes]:
        """Return the headers and the body of the next request; EOFError if the client closed."""
        if not self._file.readline():
            raise EOFError
        headers: dict[str, str] = {}
        while line := self._file.readline().strip().decode():
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        return headers, self._file.read(int(headers["content-length"]))

    def send(self, data: bytes) -> None:
        """Send the bytes as they are."""
        self._connection.sendall(data)

    def answer(self, body: bytes = b"{}", status: int = 200, headers: str = "") -> None:
        """Send a whole response; `headers` are further lines that end in CRLF."""
        self.send(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body)

    def close(self) -> None:
        """Close the connection, which the client sees at once; does nothing to a closed one."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._file.close()
        self._connection.close()

    def hang_up(self) -> None:
        """End the connection for a thread that is reading from it."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


class Server:
    """Handles each connection in a thread as the test says."""

    def __init__(self, act: Act) -> None:
        self.accepted = 0
        self._act = act
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._peers: list[Peer] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._peers.append(Peer(connection, self.accepted))
            self._threads.append(threading.Thread(target=self._serve, args=(self._peers[-1],)))
            self._threads[-1].start()

    def _serve(self, peer: Peer) -> None:
        try:
            self._act(peer)
        except (EOFError, OSError, ValueError):
            pass  # Closed, by the client or by the test.
        finally:
            peer.close()

    def close(self) -> None:
        """Stop, end all connections and wait for the threads."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(10)
        for peer in self._peers:
            peer.hang_up()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture
def serve() -> Iterator[Callable[[Act], Server]]:
    """Return a server that handles connections by the function."""
    with ExitStack() as servers:

        def start(act: Act) -> Server:
            server = Server(act)
            servers.callback(server.close)
            return server

        yield start


def open_client(url: str, read_timeout: float = 5.0, transport: str = "direct") -> Any:
    """Return a client of the URL as the functions make it."""
    environ = {**SETTINGS, "DYNAMODB_ENDPOINT": url, "TRANSPORT": transport}
    return connect(Settings.from_environ(environ), 5.0, read_timeout)


def serve_forever(peer: Peer) -> None:
    while True:
        peer.read()
        peer.answer(b'{"Item":{"a":{"S":"b"}}}')


# Signatures


@pytest.mark.parametrize("token", [None, "IQoJb3JpZ2luX2Vj/+=="])
@pytest.mark.parametrize("region", ["eu-west-1", "cn-north-1", "us-gov-west-1"])
@pytest.mark.parametrize("body", [b"{}", '{"a":"é"}'.encode(), b'{"a":"' + b"x" * 70_000 + b'"}'], ids=len)
@pytest.mark.parametrize("port", ["", ":443", ":8443"])
def test_signer_signature_equals_botocore_signature(token: str | None, region: str, body: bytes, port: str) -> None:
    credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)
    url = f"https://dynamodb.{region}.amazonaws.com{port}/"
    request = AWSRequest("POST", url, dict(HEADERS), body)
    SigV4Auth(credentials, "dynamodb", region).add_auth(request)
    headers = dict(HEADERS)
    Signer(credentials, region, get_host(url)).sign(headers, body, request.headers["X-Amz-Date"])
    assert headers == dict(request.headers.items())


def test_signer_next_day_derives_new_key() -> None:
    credentials = Credentials("AKIDEXAMPLE", "secret")
    signer = Signer(credentials, "eu-west-1", "host")
    for moment in ("20260101T235959Z", "20260102T000000Z", "20260101T235959Z"):
        kept, fresh = dict(HEADERS), dict(HEADERS)
        signer.sign(kept, b"{}", moment)
        Signer(credentials, "eu-west-1", "host").sign(fresh, b"{}", moment)
        assert kept == fresh
        assert f"/{moment[:8]}/eu-west-1/" in kept["Authorization"]


def test_signer_renewed_credentials_are_used_for_next_request() -> None:
    renewals = iter(range(1, 100))

    def renew() -> dict[str, Any]:
        number = next(renewals)
        # Within botocore's mandatory refresh period, so that every use asks for new ones.
        expiry = datetime.now(UTC) + timedelta(minutes=5)
        return {
            "access_key": f"key-{number}",
            "secret_key": f"secret-{number}",
            "token": f"token-{number}",
            "expiry_time": expiry.isoformat(),
        }

    credentials = RefreshableCredentials.create_from_metadata(renew(), renew, "test")
    signer = Signer(credentials, "eu-west-1", "host")
    for number in (2, 3):
        headers, expected = dict(HEADERS), dict(HEADERS)
        signer.sign(headers, b"{}", "20260101T000000Z")
        same = Credentials(f"key-{number}", f"secret-{number}", f"token-{number}")
        Signer(same, "eu-west-1", "host").sign(expected, b"{}", "20260101T000000Z")
        assert headers == expected


def test_signer_credentials_that_cannot_be_renewed_end_in_store_error() -> None:
    class Expired:
        def get_frozen_credentials(self) -> None:
            raise CredentialRetrievalError(provider="test", error_msg="expired")

    client = open_client("http://127.0.0.1:1", transport="boto3")
    install(client, Expired(), Connections("http://127.0.0.1:1", 1.0, 1.0).exchange)
    with pytest.raises(StoreError, match="CredentialRetrievalError"):
        Session(client).get("t", {"record": "device#desk"})


def test_signer_without_credentials_raises_botocore_error() -> None:
    with pytest.raises(NoCredentialsError):
        Signer(None, "eu-west-1", "host").sign({}, b"")


def test_signer_shared_by_threads_signs_each_request_alone() -> None:
    credentials = Credentials("AKIDEXAMPLE", "secret")
    shared = Signer(credentials, "eu-west-1", "host")

    def compare(number: int) -> bool:
        moment = f"202601{number % 28 + 1:02}T000000Z"
        ours, expected = dict(HEADERS), dict(HEADERS)
        shared.sign(ours, b"%d" % number, moment)
        Signer(credentials, "eu-west-1", "host").sign(expected, b"%d" % number, moment)
        return ours == expected

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(compare, range(400)))


# Answers


ANSWERS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "get_item": (
        "get_item",
        GET,
        {"Item": {"a": {"S": "é"}, "n": {"N": "1"}, "s": {"SS": ["x"]}, "b": {"BOOL": True}}},
    ),
    "get_item of nothing": ("get_item", GET, {}),
    "batch_get_item": (
        "batch_get_item",
        {"RequestItems": {"t": {"Keys": [KEY]}}},
        {"Responses": {"t": [KEY]}, "UnprocessedKeys": {"t": {"Keys": [KEY], "ConsistentRead": True}}},
    ),
    "transact_get_items": (
        "transact_get_items",
        {"TransactItems": [{"Get": GET}]},
        {"Responses": [{"Item": KEY}, {}]},
    ),
    "update_item": ("update_item", {**GET, "UpdateExpression": "SET a = :a"}, {"Attributes": {"n": {"N": "2"}}}),
    "transact_write_items": ("transact_write_items", {"TransactItems": [], "ClientRequestToken": "token"}, {}),
    "scan": ("scan", {"TableName": "t"}, {"Items": [KEY], "Count": 1, "ScannedCount": 1, "LastEvaluatedKey": KEY}),
}
REASONS = [{"Code": "ConditionalCheckFailed", "Message": "no", "Item": KEY}, {"Code": "None"}]
MEMBERS: list[tuple[str, int, str, dict[str, Any]]] = [
    ("condition", 400, "ConditionalCheckFailedException", {"message": "no", "Item": KEY}),
    ("cancelled", 400, "TransactionCanceledException", {"Message": "no", "CancellationReasons": REASONS}),
    ("throttled", 400, "ThrottlingException", {"message": "slow down", "throttlingReasons": []}),
    ("expired token", 400, "ExpiredTokenException", {"message": "expired"}),
    ("clock skew", 400, "InvalidSignatureException", {"message": "Signature expired: 20260101T000000Z"}),
    ("internal", 500, "InternalServerError", {"message": "sorry"}),
]
ERRORS: dict[str, tuple[int, bytes]] = {
    name: (status, json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", **members}).encode())
    for name, status, code, members in MEMBERS
} | {"gateway": (502, b"<html><body>Bad Gateway</body></html>"), "empty": (503, b""), "garbled": (400, b"{")}


def request_both(server: Server, operation: str, parameters: Any) -> list[Any]:
    """Return what the direct and the boto3 transport make of the server's answer: content or error response."""
    stock = open_client(server.url, transport="boto3")
    outcomes: list[Any] = []
    try:
        for client in (open_client(server.url), stock):
            try:
                outcome = getattr(client, operation)(**parameters)
            except ClientError as error:
                response: Any = error.response
                for retries in ("MaxAttemptsReached", "RetryAttempts"):
                    response["ResponseMetadata"].pop(retries, None)
                outcome = (type(error).__name__, response)
            else:
                outcome.pop("ResponseMetadata", None)
            outcomes.append(outcome)
    finally:
        stock.close()
    return outcomes


@pytest.mark.parametrize("name", ANSWERS)
def test_direct_answer_equals_boto3_answer(name: str, serve: Callable[[Act], Server]) -> None:
    operation, parameters, content = ANSWERS[name]
    body = json.dumps(content).encode()
    requests: list[tuple[dict[str, str], bytes]] = []

    def act(peer: Peer) -> None:
        requests.append(peer.read())
        peer.answer(body, headers=f"x-amz-crc32: {zlib.crc32(body)}\r\n")

    direct, stock = request_both(serve(act), operation, parameters)
    assert direct == stock == content
    (headers, sent), (stock_headers, stock_sent) = requests
    assert sent == stock_sent
    signed = ("host", "x-amz-target", "content-type", "content-length", "accept-encoding")
    assert [headers[each] for each in signed] == [stock_headers[each] for each in signed]


@pytest.mark.parametrize("name", ERRORS)
def test_direct_error_equals_boto3_error(name: str, serve: Callable[[Act], Server]) -> None:
    status, body = ERRORS[name]

    def act(peer: Peer) -> None:
        peer.read()
        peer.answer(body, status, "x-amzn-RequestId: id-1\r\n")

    direct, stock = request_both(serve(act), "transact_write_items", {"TransactItems": []})
    assert direct == stock
    if name == "cancelled":
        assert direct[1]["CancellationReasons"] == REASONS


@pytest.mark.parametrize(("name", "transient"), [("clock skew", False), ("expired token", False), ("throttled", True)])
def test_session_retries_direct_errors_only_if_transient(
    name: str, transient: bool, serve: Callable[[Act], Server]
) -> None:
    status, body = ERRORS[name]

    def act(peer: Peer) -> None:
        while True:
            peer.read()
            peer.answer(body, status)

    session = Session(open_client(serve(act).url), sleep=lambda _: None)
    with pytest.raises(StoreError):
        session.get("t", {"record": "device#desk"})
    assert (session.calls > 1) is transient


def test_direct_transport_leaves_other_operations_to_botocore(serve: Callable[[Act], Server]) -> None:
    calls: list[Any] = []

    def exchange(headers: Any, body: bytes) -> Answer:
        calls.append(headers["X-Amz-Target"])
        return Answer(200, {}, b"{}")

    def act(peer: Peer) -> None:
        peer.read()
        peer.answer(b'{"TableNames":["t"]}')

    client = open_client(serve(act).url, transport="boto3")
    install(client, Credentials("local", "local"), exchange)
    assert client.list_tables()["TableNames"] == ["t"]
    client.close()
    assert calls == []
    client.get_item(**GET)
    assert calls == ["DynamoDB_20120810.GetItem"]


def test_direct_operations_have_no_binary_or_time_members_but_attribute_values() -> None:
    model = botocore.session.Session().create_client("dynamodb", "eu-west-1").meta.service_model
    for operation in OPERATIONS:
        pending, seen = [model.operation_model(operation).output_shape], set()
        while pending:
            shape: Any = pending.pop()
            if shape.name in seen or shape.name == "AttributeValue":
                continue
            seen.add(shape.name)
            assert shape.type_name not in ("blob", "timestamp"), (operation, shape.name)
            pending += getattr(shape, "members", {}).values()
            pending += [getattr(shape, each) for each in ("member", "value") if hasattr(shape, each)]


# Connections


def test_connection_is_kept_between_requests(serve: Callable[[Act], Server]) -> None:
    server = serve(serve_forever)
    client = open_client(server.url)
    for _ in range(3):
        assert client.get_item(**GET)["Item"] == {"a": {"S": "b"}}
    assert server.accepted == 1


def test_connection_closed_while_idle_is_replaced_before_use(serve: Callable[[Act], Server]) -> None:
    closed = threading.Semaphore(0)

    def act(peer: Peer) -> None:
        peer.read()
        peer.answer()
        peer.close()
        closed.release()

    server = serve(act)
    client = open_client(server.url)
    for _ in range(3):
        client.get_item(**GET)
        closed.acquire()
    assert server.accepted == 3


def test_connection_the_server_announces_to_close_is_not_kept(serve: Callable[[Act], Server]) -> None:
    def act(peer: Peer) -> None:
        while True:
            peer.read()
            peer.answer(headers="Connection: close\r\n")

    server = serve(act)
    client = open_client(server.url)
    for _ in range(2):
        client.get_item(**GET)
    assert server.accepted == 2


def test_connection_with_unread_bytes_is_not_used_again(serve: Callable[[Act], Server]) -> None:
    sent = threading.Semaphore(0)

    def act(peer: Peer) -> None:
        while True:
            peer.read()
            # Taken for the answer to the next request, the second would be another caller's data.
            head = b"HTTP/1.1 200 X\r\nContent-Length: "
            peer.send(head + b"2\r\n\r\n{}" + head + b'28\r\n\r\n{"Item":{"a":{"S":"stray"}}}')
            sent.release()

    client = open_client(serve(act).url)
    for _ in range(5):
        assert "Item" not in client.get_item(**GET)
        sent.acquire()


def test_connections_of_threads_never_mix_answers(serve: Callable[[Act], Server]) -> None:
    def echo(peer: Peer) -> None:
        while True:
            _, body = peer.read()
            peer.answer(json.dumps({"Item": json.loads(body)["Key"]}).encode())

    server = serve(echo)
    client = open_client(server.url)

    def ask(number: int) -> bool:
        key = {"record": {"S": str(number)}}
        return bool(client.get_item(TableName="t", Key=key)["Item"] == key)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(400)))
    assert server.accepted <= 8


def test_connection_sends_head_and_body_in_one_piece() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        client = open_client(f"http://127.0.0.1:{listener.getsockname()[1]}")
        answer = pool.submit(client.get_item, **GET)
        connection, _ = listener.accept()
        with connection:
            head, _, body = connection.recv(65_536).partition(b"\r\n\r\n")
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            assert "Item" not in answer.result()
    assert f"content-length: {len(body)}".encode() in head.lower()
    assert json.loads(body) == GET


def test_connections_are_closed_with_the_client(serve: Callable[[Act], Server]) -> None:
    ended = threading.Event()

    def act(peer: Peer) -> None:
        try:
            serve_forever(peer)
        finally:
            ended.set()

    client = open_client(serve(act).url)
    client.get_item(**GET)
    assert not ended.is_set()
    del client
    gc.collect()
    assert ended.wait(5)


def close(peer: Peer) -> None:
    peer.read()
    peer.close()


def close_within_head(peer: Peer) -> None:
    peer.read()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    peer.close()


def close_within_body(peer: Peer) -> None:
    peer.read()
    peer.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"Item":')
    peer.close()


def send_no_http(peer: Peer) -> None:
    peer.read()
    peer.send(b"what?\r\n\r\n")


def damage(peer: Peer) -> None:
    peer.read()
    peer.answer(b'{"Item":{"a":{"S":"c"}}}', headers=f"x-amz-crc32: {zlib.crc32(b'the original')}\r\n")


def damage_checksum(peer: Peer) -> None:
    peer.read()
    peer.answer(headers="x-amz-crc32: what?\r\n")


def send_no_json(peer: Peer) -> None:
    peer.read()
    peer.answer(b"<html>")


def send_no_object(peer: Peer) -> None:
    peer.read()
    peer.answer(b"[]")


FAULTS: list[tuple[Act, type[Exception]]] = [
    (close, ConnectionClosedError),
    (close_within_head, ConnectionClosedError),
    (close_within_body, ConnectionClosedError),
    (send_no_http, ConnectionClosedError),
    (damage, ChecksumError),
    (damage_checksum, ChecksumError),
    (send_no_json, ResponseParserError),
    (send_no_object, ResponseParserError),
]


@pytest.mark.parametrize(("fault", "error"), FAULTS, ids=lambda value: value.__name__)
def test_direct_fault_raises_botocore_error_and_is_sent_once(
    fault: Act, error: type[Exception], serve: Callable[[Act], Server]
) -> None:
    server = serve(fault)
    with pytest.raises(error):
        open_client(server.url).get_item(**GET)
    assert server.accepted == 1


@pytest.mark.parametrize("fault", [fault for fault, _ in FAULTS], ids=lambda fault: fault.__name__)
def test_session_repeats_a_call_after_each_fault(fault: Act, serve: Callable[[Act], Server]) -> None:
    def act(peer: Peer) -> None:
        if peer.number == 1:
            fault(peer)
        serve_forever(peer)

    session = Session(open_client(serve(act).url), sleep=lambda _: None)
    assert session.get("t", {"record": "device#desk"}) == {"a": "b"}
    assert session.calls == 2


def test_direct_read_timeout_raises_and_drops_the_connection(serve: Callable[[Act], Server]) -> None:
    late = threading.Event()

    def act(peer: Peer) -> None:
        peer.read()
        if peer.number == 1:
            late.wait(10)
        peer.answer(b'{"Item":{"a":{"N":"%d"}}}' % peer.number)

    client = open_client(serve(act).url, read_timeout=1.0)
    with pytest.raises(ReadTimeoutError):
        client.get_item(**GET)
    late.set()
    # Not the late answer to the first request.
    assert client.get_item(**GET)["Item"] == {"a": {"N": "2"}}


def test_direct_refused_connection_raises_botocore_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(EndpointConnectionError):
        open_client(f"http://127.0.0.1:{port}").get_item(**GET)


def test_direct_connect_timeout_raises_botocore_error() -> None:
    with socket.socket() as listener, ExitStack() as fillers:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        # Fill the backlog, so that the next connection is neither accepted nor refused.
        for _ in range(4):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        connections = Connections(f"http://127.0.0.1:{address[1]}", 0.1, 0.1)
        with pytest.raises(ConnectTimeoutError):
            connections.exchange(HEADERS, b"{}")


def test_direct_server_without_certificate_raises_botocore_error(serve: Callable[[Act], Server]) -> None:
    def act(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 400 no TLS here\r\n\r\n")

    url = serve(act).url.replace("http:", "https:")
    connections = Connections(url, 5.0, 5.0)
    with pytest.raises(SSLError):
        connections.exchange(HEADERS, b"{}")
