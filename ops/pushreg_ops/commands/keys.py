"""`pushreg keys`: issue, list, revoke."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from pushreg.clock import now
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
    read_secret,
)
from pushreg_ops.provision import KeyOptions
from pushreg_ops.records.wording import describe_key
from pushreg_ops.terminal import Terminal

COLUMNS = ["key_id", "name", "family", "reach", "scope", "created_at", "issued_by", "expires_at"]
# A guessed secret is worth as much as a stolen one; random ones have 43 characters.
MIN_SECRET = 16

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
        typer.Option(
            help="read: GET only; write: what devices need, or with --apps what consoles need; admin: everything;"
            " sender: look up and report."
        ),
    ] = "write",
    value: Annotated[
        str | None,
        typer.Option(
            metavar="SECRET|@FILE|-",
            help="Use this secret instead of a random one: as it is, of a file, or of standard input.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="A name for the key, such as the caller's.")] = None,
    expires: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM-DD|DAYS", help="When the key stops working: a date (UTC), or days from now."),
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
    options = KeyOptions(
        None if value is None else _check_secret(read_secret(value, "--value")),
        name,
        None if expires is None else _parse_expiry(expires, now()),
    )
    with provision(stack, local) as provisioner:
        if scope == "sender":
            key, secret = provisioner.issue_sender_key(account, place_ids, application_ids, options)
        elif account is not None:
            key, secret = provisioner.issue_account_key(account, scope, options)
        elif apps is not None:
            key, secret = provisioner.issue_applications_key(application_ids, scope, options)
        else:
            key, secret = provisioner.issue_places_key(place_ids, scope, options)
    terminal = Terminal(as_json=json)
    # The secret alone goes to standard output, so that it can be piped.
    terminal.note(f"key {key.key_id} issued; its secret is shown only once:")
    terminal.show({**describe_key(key), "secret": secret}, secret)


@app.command("list")
def list_keys(stack: Stack = None, local: Local = False, json: Json = False) -> None:
    """List the keys without their secrets, oldest first."""
    with provision(stack, local) as provisioner:
        records = [describe_key(key) for key in provisioner.list_keys()]
    Terminal(as_json=json).list(COLUMNS, records)


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


def _check_secret(secret: str) -> str:
    if len(secret) < MIN_SECRET:
        problem = f"a secret has at least {MIN_SECRET} characters, this one has {len(secret)}"
    elif is_token(secret):
        problem = "a secret must not look like a signed token"
    else:
        return secret
    raise typer.BadParameter(problem, param_hint="--value")


def _parse_expiry(text: str, moment: datetime) -> int:
    """Return the epoch second at which the key expires."""
    try:
        if text.isdecimal():
            expiry = moment + timedelta(days=int(text))
        else:
            expiry = datetime.fromisoformat(text)
            expiry = expiry if expiry.tzinfo is not None else expiry.replace(tzinfo=UTC)
        # Its year 9999 may be another one in UTC.
        expiry = expiry.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"{text!r} is neither a date nor a number of days", param_hint="--expires") from error
    if expiry <= moment:
        raise typer.BadParameter(f"{text} is not in the future", param_hint="--expires")
    return int(expiry.timestamp())


def _parse_places(text: str) -> frozenset[str]:
    if text == EVERY_PLACE:
        return frozenset({EVERY_PLACE})
    return frozenset(parse_place_id(each.strip()) for each in text.split(","))


def _parse_applications(text: str) -> frozenset[str]:
    if text == EVERY_APPLICATION:
        return frozenset({EVERY_APPLICATION})
    return frozenset(parse_application_id(each.strip()) for each in text.split(","))
