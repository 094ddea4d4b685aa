"""moto's DynamoDB in this process, for trying out where DynamoDB Local is not available."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from moto.core.model_instances import reset_model_data
from moto.dynamodb.models import dynamodb_backends
from moto.moto_server.werkzeug_app import create_backend_app
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from pushreg_local.engines import HOST

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class _QuietHandler(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing: the gateway prints the requests of interest."""


class LeakFreeApp:
    """Wraps moto and clears its list of model instances after each request.

    moto 5.2.5 copies whole tables for each transaction, and its dashboard's list keeps every copy: 3.4 MB per
    transaction on 4,000 rows. The tables themselves have other references and stay.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        answer = list(self._app(environ, start_response))
        reset_model_data()
        return answer


class MemoryEngine:
    """Serves one request at a time, since moto is not safe under concurrency; the data is lost at exit."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def endpoint(self) -> str:
        """The address that clients use."""
        return f"http://{HOST}:{self._port}"

    @property
    def description(self) -> str:
        """What it is and its limits."""
        return f"memory (moto) on {self.endpoint}: for trying out, slow with much data, data is lost at exit"

    def start(self) -> None:
        """Bind and begin to serve, with no data whatever moto held in this process before."""
        _reset()
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        app = LeakFreeApp(create_backend_app("dynamodb"))
        self._server = make_server(HOST, self._port, app, threaded=False, request_handler=_QuietHandler)
        self._port = self._server.server_port
        # So often it looks whether it is to stop, in seconds.
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="memory-engine", daemon=True
        )
        self._thread.start()

    def wait(self) -> None:
        """Do nothing: the socket listens already."""

    def stop(self) -> None:
        """Stop serving and discard the data."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            _reset()
        self._server = None


def _reset() -> None:
    for backends in dynamodb_backends.values():
        backends.reset()
