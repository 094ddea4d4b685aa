"""`pushreg console`."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer
from starlette.applications import Starlette

from pushreg_local.engines import HOST
from pushreg_local.listening import bind, run_server, stoppable
from pushreg_ops.commands.options import Local, Stack, reach
from pushreg_ops.console.app import create_console
from pushreg_ops.terminal import Terminal


def run(
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, metavar="PORT", help="Port of the console; by default a free one.", show_default=False
        ),
    ] = 0,
    stack: Stack = None,
    local: Local = False,
) -> None:
    """Serve a read-only web console on this machine.

    Shows counts, registrations found by any id or token, and keys; tokens are redacted. Listens on 127.0.0.1 only, uses
    your own AWS credentials and changes nothing. The address contains a random token. Ctrl-C or SIGTERM stops it.

    \b
    Examples:
      pushreg console --stack prod
      pushreg console --local --port 3002
    """
    with (
        reach(stack, local) as registry,
        stoppable(),
        bind(port, "choose another with --port") as listener,
    ):
        target = f"--stack {shlex.quote(stack)}" if stack else "--local"
        path, routes = create_console(registry, target)
        Terminal().say(f"Console: http://{HOST}:{listener.getsockname()[1]}{path} (Ctrl-C stops it)", "bold green")
        run_server(Starlette(routes=routes), listener)
