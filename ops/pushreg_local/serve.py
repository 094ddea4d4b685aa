"""Runs the local stack: database engine, tables, functions and gateway."""

from __future__ import annotations

import importlib
import platform
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from starlette.routing import BaseRoute

from pushreg.schema import DIRECTORY
from pushreg_local.client import connect_endpoint, explain
from pushreg_local.demo import list_commands, list_credentials, list_secrets, store_entries
from pushreg_local.demo_issuer import list_issuers
from pushreg_local.docs_page.routes import PAGE_PATH, answer_browser, create_routes
from pushreg_local.engines import HOST, Engine
from pushreg_local.engines.bundle import check_machine, find_bundle
from pushreg_local.engines.dynamodb_local import DynamoDbLocal
from pushreg_local.engines.endpoint import ExistingEndpoint
from pushreg_local.engines.java import find_java
from pushreg_local.errors import EngineError
from pushreg_local.gateway import Gateway, Handler, create_app, load_handlers
from pushreg_local.listening import bind, run_server, stoppable
from pushreg_local.log import write_request
from pushreg_local.ready_file import manage_ready_file, note_running
from pushreg_local.tables import create_missing
from pushreg_local.template import ENDPOINT_PARAMETER, FEED_PARAMETER, Template, find_template, load_template

DATA = Path(".data")
DYNAMODB_LOCAL, MEMORY = "dynamodb-local", "memory"

# From the addresses of DynamoDB and of the API: the console's path and routes.
CreateConsole = Callable[[str, str], tuple[str, Sequence[BaseRoute]]]


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


def serve(options: Options, say: Say, environ: Mapping[str, str], create_console: CreateConsole) -> None:
    """Serve until Ctrl-C, SIGTERM or SIGHUP, then stop all processes; OperatorError if the stack cannot start."""
    template_file = find_template(Path.cwd())
    with (
        stoppable(),
        bind(options.port, _advise("PORT")) as listener,
        manage_ready_file(options.ready_file) as write_ready_file,
        note_running(Path()) as write_running,
    ):
        engine = _choose_engine(options, say, environ)
        try:
            engine.start()
            # Import the functions while Java starts: the two take most of the start-up time.
            # For `pushreg tail`. moto would keep every record of a stream in memory.
            has_streams = str(isinstance(engine, DynamoDbLocal)).lower()
            parameters = {ENDPOINT_PARAMETER: engine.endpoint, FEED_PARAMETER: has_streams}
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
            console_path, console = create_console(engine.endpoint, address)
            app = create_app(
                Gateway(template, handlers, port, answer_browser=answer_browser), template.cors, [*page, *console]
            )
            document = (template_file.parent / "docs" / "openapi.yaml").read_text("utf-8")
            _announce(address, console_path, engine, template, document, options, say)
            # The socket already listens: a request sent from now on waits for the server's first loop and is answered.
            write_running(address, engine.endpoint)
            write_ready_file(address, engine.endpoint)
            run_server(app, listener)
        finally:
            # Ignore further signals: a second Ctrl-C must not leave the engine running.
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            engine.stop()


def _choose_engine(options: Options, say: Say, environ: Mapping[str, str]) -> Engine:
    if options.store is not None and "://" in options.store:
        return ExistingEndpoint(options.store)
    # Probe the port first, so the user gets a clear error instead of a Java stack trace.
    with bind(options.dynamodb_port, _advise("DYNAMODB_PORT")) as probe:
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


def _advise(variable: str) -> str:
    return f"choose another with --{variable.lower().replace('_', '-')} or {variable}"


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


def list_routes(keys: Sequence[str], document: str) -> list[str]:
    """Return the route keys with the methods of the OpenAPI document in place of ANY, where it has the path."""
    methods: dict[str, list[str]] = {}
    path = ""
    for line in document.splitlines():
        if match := _PATH.fullmatch(line):
            path = _PARAMETER.sub("{}", match[1])
        elif match := _METHOD.fullmatch(line):
            methods.setdefault(path, []).append(match[1].upper())
    lines = []
    for key in keys:
        method, _, route = key.partition(" ")
        known = methods.get(_PARAMETER.sub("{}", route), [])
        lines.append(f"{', '.join(sorted(known)) if method == 'ANY' and known else method} {route}".strip())
    return lines


# A path and a method of docs/openapi.yaml, by their indentation: parsing it all delays the start.
_PATH = re.compile(r"  '?(/[^':]*)'?:")
_METHOD = re.compile(r"    (get|put|post|delete|patch|head|options):")
_PARAMETER = re.compile(r"\{[^}]*\}")


def _announce(
    address: str, console_path: str, engine: Engine, template: Template, document: str, options: Options, say: Say
) -> None:
    say(f"\nPushreg answers at {address} (Ctrl-C stops it)", "bold green")
    say(f"Store: {engine.description}")
    say(f"Interactive documentation: {address}{PAGE_PATH}")
    say(f"Console: {address}{console_path}")
    say("\nRoutes", "bold")
    for line in list_routes([route.key for route in template.routes], document):
        say(f"  {line}")
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
