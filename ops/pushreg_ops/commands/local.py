"""`pushreg local`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from starlette.routing import BaseRoute

from pushreg_local.serve import DYNAMODB_LOCAL, MEMORY, Options, serve
from pushreg_ops.console.app import create_console
from pushreg_ops.registry import ENDPOINT_VARIABLE, open_registry
from pushreg_ops.terminal import Terminal


def _check_store(value: str | None) -> str | None:
    if value is None or value in (DYNAMODB_LOCAL, MEMORY) or value.startswith(("http://", "https://")):
        return value
    raise typer.BadParameter(f"{value!r} is not {DYNAMODB_LOCAL}, {MEMORY} or http://host:port")


def run(
    port: Annotated[int, typer.Option(envvar="PORT", min=0, max=65535, metavar="PORT", help="Port of the API.")] = 3000,
    dynamodb_port: Annotated[
        int, typer.Option(envvar="DYNAMODB_PORT", min=0, max=65535, metavar="PORT", help="Port of the database.")
    ] = 8000,
    store: Annotated[
        str | None,
        typer.Option(
            envvar="STORE",
            callback=_check_store,
            metavar="ENGINE",
            help="dynamodb-local (data is kept in .data), memory (data is lost at exit), or the http://host:port of a"
            " running DynamoDB. By default dynamodb-local, or memory where that is not available.",
            show_default=False,
        ),
    ] = None,
    no_demo: Annotated[bool, typer.Option("--no-demo", help="Do not add the demo account, place and keys.")] = False,
    ready_file: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            metavar="FILE",
            help="Write the addresses, the ports and the process id to this file as JSON when the API answers; removed"
            " when the stack stops.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Serve the API on this machine as described by template.yaml.

    Listens on 127.0.0.1 only. Ctrl-C or SIGTERM stops it.

    \b
    Examples:
      pushreg local
      pushreg local --port 3001 --store memory
    """
    options = Options(port, dynamodb_port, store, not no_demo, ready_file)
    serve(options, Terminal().say, os.environ, _create_console)


def _create_console(endpoint: str, address: str) -> tuple[str, list[BaseRoute]]:
    registry = open_registry(None, True, {ENDPOINT_VARIABLE: endpoint, "PORT": str(urlsplit(address).port)})
    return create_console(registry, "--local")
