"""Serves an ASGI application on the loopback address until a signal ends the process."""

from __future__ import annotations

import errno
import signal
import socket
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from pushreg_local.engines import HOST
from pushreg_local.errors import OperatorError

# How long a stopping server waits for requests in progress.
DRAIN_SECONDS = 10


class StopRequestedError(Exception):
    """SIGINT, SIGTERM or SIGHUP was received."""


def run_server(app: ASGIApp, listener: socket.socket) -> None:
    """Serve until a signal is received."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def bind(port: int, advice: str) -> Iterator[socket.socket]:
    """Bind the port on the loopback address; OperatorError with the advice if it is not available."""
    # Name the protocol, or asyncio leaves Nagle's algorithm on: 40 ms per response on a keep-alive connection.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"is not available ({error.strerror})"
            raise OperatorError(f"port {port} {reason}: {advice}") from error
        listener.listen(128)
        yield listener


@contextmanager
def stoppable() -> Iterator[None]:
    """End the block quietly on Ctrl-C, SIGTERM and SIGHUP, and restore the signal handlers."""

    def stop(number: int, frame: types.FrameType | None) -> None:
        raise StopRequestedError

    before: dict[signal.Signals, Callable[[int, types.FrameType | None], object] | int | None] = {
        number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    except StopRequestedError:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
