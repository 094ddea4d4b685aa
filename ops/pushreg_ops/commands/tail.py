"""`pushreg tail`."""

from __future__ import annotations

import json as codec
from typing import Any

import typer

from pushreg.stores.changes import Change
from pushreg_ops.aws import connect_streams
from pushreg_ops.commands.options import Json, Local, Stack, reach
from pushreg_ops.records.wording import describe_change
from pushreg_ops.streams import Follower

# Not on standard output, which has nothing but events.
_FOLLOWING = {"status": "following"}


def run(stack: Stack = None, local: Local = False, json: Json = False) -> None:
    """Print changes of registrations as they happen, until Ctrl-C.

    Shows the events of the change feed, read from the tables' streams: digests, no tokens. A deployed stack needs the
    parameter ChangeFeed=true. Changes made before standard error says that the command follows may be missed; with
    --json it says so as {"status": "following"}.

    \b
    Examples:
      pushreg tail --local
      pushreg tail --stack pushreg --json | jq .detail.key
    """
    with reach(stack, local) as registry:
        follower = Follower(registry, connect_streams(registry.client))
        typer.echo(codec.dumps(_FOLLOWING) if json else "following changes; Ctrl-C stops", err=True)
        for change in follower.follow():
            typer.echo(codec.dumps(_to_event(change)) if json else describe_change(change))


def _to_event(change: Change) -> dict[str, Any]:
    return {"detail-type": f"registration.{change.kind}", "detail": change.detail}
