"""`pushreg tail`."""

from __future__ import annotations

import json as codec
from typing import Any

import typer

from pushreg.stores.changes import Change
from pushreg_ops.aws import connect_streams
from pushreg_ops.commands.options import Json, Local, Stack, reach
from pushreg_ops.streams import Follower


def run(stack: Stack = None, local: Local = False, json: Json = False) -> None:
    """Follow changes of registrations from now on, one line each, until Ctrl-C.

    Shows the events of the change feed, read from the tables' streams: digests, no tokens. A deployed stack needs the
    parameter ChangeFeed=true.

    \b
    Examples:
      pushreg tail --local
      pushreg tail --stack pushreg --json | jq .detail.key
    """
    with reach(stack, local) as registry:
        follower = Follower(registry, connect_streams(registry.client))
        # With --json too: what changes before this line may be missed.
        typer.echo("following changes; Ctrl-C stops", err=True)
        for change in follower.follow():
            typer.echo(codec.dumps(_to_event(change)) if json else _format(change))


def _to_event(change: Change) -> dict[str, Any]:
    return {"detail-type": f"registration.{change.kind}", "detail": change.detail}


def _format(change: Change) -> str:
    detail = change.detail
    key = " ".join(f"{name}={value}" for name, value in detail["key"].items())
    tokens = ",".join(each[:12] for each in detail["token_digests"])
    return f"{detail['at']} {change.kind:7} {detail['family']:10} {key} {detail['reason'] or '-'} {tokens}".rstrip()
