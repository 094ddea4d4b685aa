"""Runs the local stack: database engine, tables, functions and gateway."""

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
from pushreg_local.demo_issuer import list_issuers
from pushreg_local.docs_page.routes import PAGE_PATH, create_routes
from pushreg_local.engines import HOST, Engine
from pushreg_local.engines.bundle import check_machine, find_bundle
from pushreg_local.engines.dynamodb_local import DynamoDbLocal
from pushreg_local.engines.endpoint import ExistingEndpoint
from pushreg_local.engines.java import find_java
from pushreg_local.errors import EngineError, OperatorError
from pushreg_local.gateway import Gateway, Handler, create_app, load_handlers
from pushreg_local.log import write_request
from pushreg_local.ready_file import manage_ready_file, note_running
from pushreg_local.tables import create_missing
from pushreg_local.template import ENDPOINT_PARAMETER, Template, find_template, load_template

DATA = Path(".data")
DYNAMODB_LOCAL, MEMORY = "dynamodb-local", "memory"
# How long a stopping stack waits for requests in progress.
DRAIN_SECONDS = 10


class StopRequestedError(Exception):
    """SIGINT, SIGTERM or SIGHUP was received."""


class Say(Protocol):
    """Prints a line for the person who started the stack."""

    def __call__(self, text: str, style: str = "") -> None:
        """Print the text, on a terminal in the style (Rich's names)."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `pushreg local`; without a store the best available engine is used."""

    port: int
    dynamodb_port: int
    store: str | None
    demo: bool
    ready_file: Path | None = None


def serve(options: Options, say: Say, environ: Mapping[str, str]) -> None:
    """Serve until Ctrl-C, SIGTERM or SIGHUP, then stop all processes; OperatorError if the stack cannot start."""
    template_file = find_template(Path.cwd())
    with (
        _stoppable(),
        _bind(options.port, "PORT") as listener,
        manage_ready_file(options.ready_file) as write_ready_file,
        note_running(Path()) as write_running,
    ):
        engine = _choose_engine(options, say, environ)
        try:
            engine.start()
            # Import the functions while Java starts: the two take most of the start-up time.
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
            write_running(address, engine.endpoint)
            write_ready_file(address, engine.endpoint)
            _run(app, listener)
        finally:
            # Ignore further signals: a second Ctrl-C must not leave the engine running.
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            engine.stop()


def _choose_engine(options: Options, say: Say, environ: Mapping[str, str]) -> Engine:
    if options.store is not None and "://" in options.store:
        return ExistingEndpoint(options.store)
    # Probe the port first, so the user gets a clear error instead of a Java stack trace.
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
    say(f"DynamoDB Local is not available, using memory instead: {error}", "yellow")
    return _create_memory(options.dynamodb_port)


def _create_memory(port: int) -> Engine:
    # Imported on demand: moto takes as long to import as everything else together.
    engine: Engine = importlib.import_module("pushreg_local.engines.memory").MemoryEngine(port)
    return engine


def _prepare(engine: Engine, template: Template, handlers: Mapping[str, Handler], options: Options) -> None:
    with explain(engine.endpoint, unreachable="the database has stopped: start again"):
        client = connect_endpoint(engine.endpoint)
        create_missing(client, template.tables)
    if options.demo:
        store_entries(client, template.name_table(DIRECTORY), *list_issuers(DATA))
    for handler in handlers.values():
        handler.prepare()


def _announce(address: str, engine: Engine, template: Template, options: Options, say: Say) -> None:
    say(f"\nPushreg answers at {address} (Ctrl-C stops it)", "bold green")
    say(f"Store: {engine.description}")
    say(f"Interactive documentation: {address}{PAGE_PATH}")
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
        say("\nNo demo data: see `pushreg --help` for adding accounts, places, applications and keys.")
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
    """Bind the port on the loopback address; OperatorError if it is not available."""
    # Name the protocol, or asyncio leaves Nagle's algorithm on: 40 ms per response on a keep-alive connection.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"is not available ({error.strerror})"
            option = f"--{variable.lower().replace('_', '-')}"
            raise OperatorError(f"port {port} {reason}: choose another with {option} or {variable}") from error
        listener.listen(128)
        yield listener


@contextmanager
def _stoppable() -> Iterator[None]:
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
