"""The local stack: an engine, its tables, the functions and the gateway, for as long as nobody stops it."""

from __future__ import annotations

import errno
import importlib
import platform
import signal
import socket
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import uvicorn
from starlette.types import ASGIApp

from pushreg.schema import DIRECTORY
from pushreg_local.client import connect_endpoint, explain
from pushreg_local.demo import list_commands, list_credentials, list_secrets, store_entries
from pushreg_local.docs_page.routes import PAGE_PATH, create_routes
from pushreg_local.engines import HOST, Engine
from pushreg_local.engines.bundle import check_machine, find_bundle
from pushreg_local.engines.dynamodb_local import DynamoDbLocal
from pushreg_local.engines.endpoint import ExistingEndpoint
from pushreg_local.engines.java import find_java
from pushreg_local.errors import EngineError, OperatorError
from pushreg_local.gateway import Gateway, Handler, create_app, load_handlers
from pushreg_local.log import write_request
from pushreg_local.ready_file import manage_ready_file
from pushreg_local.tables import create_missing
from pushreg_local.template import ENDPOINT_PARAMETER, Template, find_template, load_template

DATA = Path(".data")
DYNAMODB_LOCAL, MEMORY = "dynamodb-local", "memory"
# Requests under way get this long to end once the stack is to stop.
DRAIN_SECONDS = 10


class StopRequestedError(Exception):
    """SIGTERM or SIGHUP came."""


class Say(Protocol):
    """Prints a line for the person who started the stack."""

    def __call__(self, text: str, style: str = "") -> None:
        """Print the text, on a terminal in the style (Rich's names)."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the person asked for; no store means the best that can be had."""

    port: int
    dynamodb_port: int
    store: str | None
    demo: bool
    ready_file: Path | None = None


def serve(options: Options, say: Say, environ: Mapping[str, str]) -> None:
    """Serve until Ctrl-C, SIGTERM or SIGHUP, and leave no process behind; OperatorError if it cannot be."""
    template_file = find_template(Path.cwd())
    with (
        _stoppable(),
        _bind(options.port, "PORT") as listener,
        manage_ready_file(options.ready_file) as write_ready_file,
    ):
        engine = _choose_engine(options, say, environ)
        try:
            engine.start()
            # Python imports while Java starts: together they are most of the time until the first answer.
            parameters = {ENDPOINT_PARAMETER: engine.endpoint}
            template = load_template(template_file.read_text("utf-8"), parameters)
            handlers = load_handlers(template, write_request)
            try:
                engine.wait()
            except EngineError as error:
                if options.store is not None:
                    raise
                engine.stop()
                engine = _fall_back(options, say, error)
                engine.start()
                engine.wait()
            _prepare(engine, template, handlers, options)
            port = listener.getsockname()[1]
            address = f"http://{HOST}:{port}"
            commands = list_commands(address) if options.demo else []
            secrets = list_secrets() if options.demo else {}
            page = create_routes(template_file.parent / "docs" / "openapi.yaml", commands, secrets)
            app = create_app(Gateway(template, handlers, port), template.cors, page)
            _announce(address, engine, template, options, say)
            # The socket already listens: a request sent from now on waits for the server's first loop and is answered.
            write_ready_file(address, engine.endpoint)
            _run(app, listener)
        finally:
            # Once it ends it ends: a second Ctrl-C must not leave the engine behind.
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            engine.stop()


def _choose_engine(options: Options, say: Say, environ: Mapping[str, str]) -> Engine:
    if options.store is not None and "://" in options.store:
        return ExistingEndpoint(options.store)
    # Asked here, so that it is told plainly and not as Java's last words.
    with _bind(options.dynamodb_port, "DYNAMODB_PORT") as probe:
        port: int = probe.getsockname()[1]
    if options.store == MEMORY:
        return _create_memory(port)
    try:
        check_machine(platform.system(), platform.machine())
        java = find_java(environ)
        bundle = find_bundle(environ, tell=say)
    except EngineError as error:
        if options.store is not None:
            raise
        return _fall_back(options, say, error)
    return DynamoDbLocal(port, DATA, java, bundle)


def _fall_back(options: Options, say: Say, error: EngineError) -> Engine:
    say(f"No DynamoDB Local, so memory serves instead: {error}", "yellow")
    return _create_memory(options.dynamodb_port)


def _create_memory(port: int) -> Engine:
    # Loaded when chosen: moto takes as long to import as all else together.
    engine: Engine = importlib.import_module("pushreg_local.engines.memory").MemoryEngine(port)
    return engine


def _prepare(engine: Engine, template: Template, handlers: Mapping[str, Handler], options: Options) -> None:
    with explain(engine.endpoint, unreachable="the database has stopped, so start again"):
        client = connect_endpoint(engine.endpoint)
        create_missing(client, template.tables)
    if options.demo:
        store_entries(client, template.name_table(DIRECTORY))
    for handler in handlers.values():
        handler.prepare()


def _announce(address: str, engine: Engine, template: Template, options: Options, say: Say) -> None:
    say(f"\nPushreg answers at {address} (Ctrl-C stops it)", "bold green")
    say(f"Store: {engine.description}")
    say(f"Documentation to try the API in: {address}{PAGE_PATH}")
    say("\nRoutes", "bold")
    for route in template.routes:
        say(f"  {route.key}")
    if options.demo:
        say("\nDemo credentials", "bold")
        for family, text in list_credentials():
            say(f"  {family}: {text}")
        say("\nTry it", "bold")
        for _, command in list_commands(address):
            say(command)
    else:
        say("\nNo demo data: `pushreg --help` tells how to add accounts, places, applications and keys.")
    say("")


def _run(app: ASGIApp, listener: socket.socket) -> None:
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
def _bind(port: int, variable: str) -> Iterator[socket.socket]:
    """Hold the port on the loopback address; OperatorError if it cannot be had."""
    # With its protocol named, or asyncio leaves Nagle's algorithm on: 40 ms for every answer on a kept connection.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had ({error.strerror})"
            option = f"--{variable.lower().replace('_', '-')}"
            raise OperatorError(f"port {port} {reason}: choose another with {option} or {variable}") from error
        listener.listen(128)
        yield listener


@contextmanager
def _stoppable() -> Iterator[None]:
    """End quietly on Ctrl-C, SIGTERM and SIGHUP, wherever the code inside is, and restore the signals' handlers."""

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
