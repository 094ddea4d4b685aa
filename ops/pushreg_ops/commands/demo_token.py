"""`pushreg demo-token`."""

from __future__ import annotations

from typing import Annotated

import typer

from pushreg.models.directory import TokenFamily
from pushreg_local.demo_issuer import sign_token
from pushreg_local.serve import DATA
from pushreg_ops.commands.options import Json
from pushreg_ops.terminal import Terminal


def run(
    family: Annotated[TokenFamily, typer.Option(help="Whose API the token is for.")] = "kazoo",
    json: Json = False,
) -> None:
    """Print a signed token for this folder's local stack.

    The stack accepts it for an hour. A deployed stack never accepts it.

    \b
    Examples:
      curl -sS http://127.0.0.1:3000/... -H "X-Auth-Token: $(pushreg demo-token)"
      curl -sS http://127.0.0.1:3000/... -H "Authorization: Bearer $(pushreg demo-token --family places)"
    """
    token = sign_token(DATA, family)
    Terminal(as_json=json).show({"token": token}, token)
