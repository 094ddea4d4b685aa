"""`pushreg keys`: issue, list, revoke."""

from __future__ import annotations

from typing import Annotated

import typer

from pushreg.models.directory import EVERY_APPLICATION, EVERY_PLACE, Scope
from pushreg.tokens import is_token
from pushreg_ops.commands.options import (
    Json,
    Local,
    Stack,
    parse_account_id,
    parse_application_id,
    parse_place_id,
    provision,
)
from pushreg_ops.records.wording import describe_key
from pushreg_ops.terminal import Terminal

app = typer.Typer(help="Issue, list and revoke API keys.", no_args_is_help=True)


@app.command()
def issue(
    account: Annotated[
        str | None, typer.Option(parser=parse_account_id, metavar="ID", help="Issue a key for this Kazoo account.")
    ] = None,
    places: Annotated[
        str | None, typer.Option(metavar="all|UUID,UUID", help="Issue a key for all places, or for these.")
    ] = None,
    apps: Annotated[
        str | None,
        typer.Option(metavar="all|APP,APP", help="A management key for every engagement application, or for these."),
    ] = None,
    scope: Annotated[
        Scope,
        typer.Option(help="read: GET only; write: what devices need; admin: everything; sender: look up and report."),
    ] = "write",
    value: Annotated[
        str | None, typer.Option(metavar="SECRET", help="Use this secret instead of a random one.")
    ] = None,
    stack: Stack = None,
    local: Local = False,
    json: Json = False,
) -> None:
    """Issue a key and print its secret once.

    The registry stores only a digest of the secret.

    \b
    Examples:
      pushreg keys issue --places all --scope write --stack pushreg
      pushreg keys issue --apps all --scope read --stack pushreg
      pushreg keys issue --account c0ffee00c0ffee00c0ffee00c0ffee00 --local
      pushreg keys issue --scope sender --stack pushreg

    A sender's key reaches what --account, --places and --apps name together, everything if none is given.
    """
    if scope != "sender" and [account, places, apps].count(None) != 2:
        raise typer.BadParameter("give one of --account, --places and --apps")
    place_ids = frozenset[str]() if places is None else _parse_places(places)
    application_ids = frozenset[str]() if apps is None else _parse_applications(apps)
    if value is not None and (not value or value != value.strip()):
        raise typer.BadParameter("a secret must not be empty or have leading or trailing spaces", param_hint="--value")
    if value is not None and is_token(value):
        raise typer.BadParameter("a secret must not look like a signed token", param_hint="--value")
    with provision(stack, local) as provisioner:
        if scope == "sender":
            key, secret = provisioner.issue_sender_key(account, place_ids, application_ids, value)
        elif account is not None:
            key, secret = provisioner.issue_account_key(account, scope, value)
        elif apps is not None:
            key, secret = provisioner.issue_applications_key(application_ids, scope, value)
        else:
            key, secret = provisioner.issue_places_key(place_ids, scope, value)
    record = {**describe_key(key), "secret": secret}
    text = f"key {key.key_id} issued; its secret is shown only once:\n{secret}"
    Terminal(as_json=json).show(record, text)


@app.command("list")
def list_keys(stack: Stack = None, local: Local = False, json: Json = False) -> None:
    """List the keys without their secrets, oldest first."""
    with provision(stack, local) as provisioner:
        records = [describe_key(key) for key in provisioner.list_keys()]
    Terminal(as_json=json).list(["key_id", "family", "reach", "scope", "created_at"], records)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="As shown by `pushreg keys list`.")],
    stack: Stack = None,
    local: Local = False,
    json: Json = False,
) -> None:
    """Revoke a key. It stops working within 60 seconds, when cached copies have expired."""
    with provision(stack, local) as provisioner:
        provisioner.revoke(key_id)
    text = f"key {key_id} revoked; cached copies expire within 60 seconds"
    Terminal(as_json=json).show({"key_id": key_id, "revoked": True}, text)


def _parse_places(text: str) -> frozenset[str]:
    if text == EVERY_PLACE:
        return frozenset({EVERY_PLACE})
    return frozenset(parse_place_id(each.strip()) for each in text.split(","))


def _parse_applications(text: str) -> frozenset[str]:
    if text == EVERY_APPLICATION:
        return frozenset({EVERY_APPLICATION})
    return frozenset(parse_application_id(each.strip()) for each in text.split(","))
