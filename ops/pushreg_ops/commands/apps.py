"""`pushreg apps`: add, list, open, remove."""

from __future__ import annotations

from typing import Annotated

import typer

from pushreg.models.text import is_placeholder
from pushreg_ops.commands import entries
from pushreg_ops.commands.options import (
    Json,
    Local,
    Stack,
    parse_application_id,
    provision,
    read_secret,
)
from pushreg_ops.terminal import Terminal

app = typer.Typer(help="Add, list, open and remove engagement applications.", no_args_is_help=True)


@app.command()
def add(
    ids: Annotated[
        list[str], typer.Argument(parser=parse_application_id, metavar="ID", help="The appId that clients send.")
    ],
    auth_token: Annotated[
        str | None,
        typer.Option(
            metavar="VALUE|@FILE|-",
            help="The authToken that clients must send; replaces the current one. It may be short, since apps in use"
            " send it already. - reads it from standard input.",
        ),
    ] = None,
    duplicate_as_update: Annotated[
        bool | None,
        typer.Option(
            "--duplicate-as-update/--no-duplicate-as-update",
            help="Answer duplicates as updates (200) instead of 201. Default: parameter EngagementDuplicateAsUpdate.",
        ),
    ] = None,
    strict: Annotated[
        bool | None,
        typer.Option(
            "--strict/--no-strict",
            help="Change a device's subscriber only if the request names its sid or its KSID; else 403.",
        ),
    ] = None,
    stack: Stack = None,
    local: Local = False,
    json: Json = False,
) -> None:
    """Add applications, optionally protected by an authToken.

    Options change existing applications too; what is not given is left unchanged.
    """
    auth_token = None if auth_token is None else read_secret(auth_token, "--auth-token")
    if auth_token is not None and is_placeholder(auth_token):
        raise typer.BadParameter("the token must not be a placeholder such as null", param_hint="--auth-token")
    terminal = Terminal(as_json=json)
    with provision(stack, local) as provisioner:
        for each in ids:
            entries.show_added(
                terminal,
                "application",
                each,
                provisioner.add_application(each, auth_token, duplicate_as_update, strict),
            )


@app.command("open")
def open_application(
    id: Annotated[str, typer.Argument(parser=parse_application_id, metavar="ID", help="The appId that clients send.")],  # noqa: A002
    stack: Stack = None,
    local: Local = False,
    json: Json = False,
) -> None:
    """Remove an application's authToken.

    Anyone who knows its id may then subscribe.
    """
    with provision(stack, local) as provisioner:
        had_token = provisioner.open_application(id)
    text = f"application {id}: {'authToken removed' if had_token else 'had no authToken, unchanged'}"
    Terminal(as_json=json).show({"id": id, "auth_token_removed": had_token}, text)


entries.add_list_and_remove(app, "application", "app", parse_application_id, "The appId that clients send.")
