"""FCM and APNs as a sender sees them, on this machine: FCM over HTTP/1.1, APNs over HTTP/2 without TLS."""

from __future__ import annotations

import json
import socketserver
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, RequestReceived, StreamEnded

from tests.support.calls import Answer
from tests.support.serving import serve

# What a provider does with one message: a status, a body, and Retry-After.
Verdict = tuple[int, Any, int | str | None]


@dataclass
class Providers:
    """Both providers; `decide` gets each token and how often it was tried, and may act before it answers."""

    decide: Callable[[str, int], Verdict]
    delivered: list[str] = field(default_factory=list)
    tried: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, token: str) -> Verdict:
        """Return what becomes of a message to the token."""
        with self.lock:
            self.tried[token] += 1
            attempt = self.tried[token]
        verdict = self.decide(token, attempt)
        if verdict[0] == 200:
            with self.lock:
                self.delivered.append(token)
        return verdict

    def answer_fcm(self, method: str, path: str, headers: Any, body: bytes | None) -> Answer:
        """Answer as FCM and Google's token server do."""
        if path == "/token":
            return 200, {"content-type": "application/json"}, b'{"access_token":"access","expires_in":3600}'
        lowered = {name.lower(): value for name, value in headers.items()}
        assert (method, path, lowered["authorization"]) == ("POST", "/v1/projects/demo/messages:send", "Bearer access")
        message = json.loads(body or b"")["message"]
        status, answer, retry_after = self.answer(message.get("token") or message["fid"])
        extra = {} if retry_after is None else {"retry-after": str(retry_after)}
        return status, {"content-type": "application/json", **extra}, json.dumps(answer).encode()

    @contextmanager
    def run(self) -> Iterator[tuple[str, str]]:
        """Give the addresses of FCM and APNs."""
        providers = self

        class Connection(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                _speak_http2(self.request, providers.answer)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            request_queue_size = 128

        with serve(self.answer_fcm) as fcm, Server(("127.0.0.1", 0), Connection) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield fcm, f"http://127.0.0.1:{server.server_address[1]}"
            finally:
                server.shutdown()
                thread.join()


def _speak_http2(connection: Any, answer: Callable[[str], Verdict]) -> None:
    """Answer the requests of one connection, one after the other, until the client closes it."""
    http2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
    http2.initiate_connection()
    connection.sendall(http2.data_to_send())
    paths: dict[int, dict[str, str]] = {}
    while data := connection.recv(65536):
        for event in http2.receive_data(data):
            match event:
                case RequestReceived():
                    paths[event.stream_id] = {str(name): str(value) for name, value in event.headers or ()}
                case DataReceived():
                    http2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
                case StreamEnded():
                    headers = paths.pop(event.stream_id)
                    assert headers["authorization"].startswith("bearer ey")
                    assert headers["apns-topic"] == "com.example.app"
                    status, body, retry_after = answer(unquote(headers[":path"].removeprefix("/3/device/")))
                    extra = [] if retry_after is None else [("retry-after", str(retry_after))]
                    http2.send_headers(event.stream_id, [(":status", str(status)), *extra])
                    http2.send_data(event.stream_id, json.dumps(body).encode(), end_stream=True)
                case ConnectionTerminated():
                    return
        connection.sendall(http2.data_to_send())
