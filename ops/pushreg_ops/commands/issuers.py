"""`pushreg issuers`: add, list, remove, refresh."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from pushreg.models.directory import Grant, Issuer, TokenFamily
from pushreg_local.errors import OperatorError
from pushreg_ops.commands.options import Json, Local, Stack, provision
from pushreg_ops.jwks import RSA_ALGORITHMS, PublicKey, read_key_set, read_pem
from pushreg_ops.terminal import Terminal, count

app = typer.Typer(help="Accept other servers' signed tokens in place of API keys.", no_args_is_help=True)
_NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)
_ALGORITHM = "RS256"


def _parse_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is not a name: up to 64 letters, digits, dots, hyphens and underscores")
    return text


def _parse_grant(text: str) -> Grant:
    try:
        return Grant.from_text(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not ROLE=SCOPE:PLACES, such as Courier=write:all") from error


Name = Annotated[str, typer.Argument(parser=_parse_name, metavar="NAME", help="Your name for the issuer.")]


@app.command()
def add(
    name: Name,
    family: Annotated[TokenFamily, typer.Option(help="Whose API the tokens are for.")],
    pem: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The issuer's public key in PEM form (kazoo).")
    ] = None,
    kid: Annotated[
        str | None, typer.Option(metavar="ID", help="The key's id, as in the tokens; by default the file's name.")
    ] = None,
    algorithm: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(RSA_ALGORITHMS), help=f"The only one accepted with an RSA key; {_ALGORITHM} if not given."
        ),
    ] = None,
    jwks: Annotated[
        str | None, typer.Option(metavar="FILE|URL", help="The issuer's JSON Web Key Set (places).")
    ] = None,
    audience: Annotated[
        str | None, typer.Option(metavar="AUDIENCE", help="What `aud` must be; required for places.")
    ] = None,
    issuer: Annotated[str | None, typer.Option(metavar="ISSUER", help="What `iss` must be.")] = None,
    role_map: Annotated[
        list[Grant] | None,
        typer.Option(
            parser=_parse_grant,
            metavar="ROLE=SCOPE:PLACES",
            help="What a role in `roles` permits, in all or some places; may be repeated.",
        ),
    ] = None,
    stack: Stack = None,
    local: Local = False,
    json: Json = False,
) -> None:
    """Accept the tokens that an issuer signs.

    A Kazoo token permits writing in its account. A token for places permits what its roles are mapped to.

    \b
    Examples:
      pushreg issuers add kazoo --family kazoo --pem 6d9d4ad4b1d8c0a3.pem --issuer kazoo --stack prod
      pushreg issuers add azure --family places --jwks https://login.example.com/keys --audience api://orders
          --role-map Courier=write:all --role-map Manager=admin:1ee68c4e-7008-4227-a92d-e1b13ac64f30 --stack prod
    """
    if (pem is None) is (jwks is None):
        raise typer.BadParameter("give one of --pem and --jwks")
    if pem is None and (kid is not None or algorithm is not None):
        raise typer.BadParameter("--kid and --algorithm belong to --pem: a key set names its keys and algorithms")
    if algorithm not in (None, *RSA_ALGORITHMS):
        raise typer.BadParameter(f"{algorithm!r} is none of {', '.join(RSA_ALGORITHMS)}", param_hint="--algorithm")
    if family == "places" and (audience is None or not role_map):
        raise typer.BadParameter("tokens for places need --audience and --role-map")
    if family == "kazoo" and role_map:
        raise typer.BadParameter("--role-map is for places: a Kazoo token permits writing in its account")
    if "" in (audience, issuer):
        raise typer.BadParameter("--audience and --issuer must not be empty")
    terminal = Terminal(as_json=json)
    keys = [read_pem(pem, kid, algorithm or _ALGORITHM)] if pem is not None else _read_key_set(str(jwks), terminal)
    # A path means nothing on another machine, so only a URL can be fetched again.
    source = jwks if jwks is not None and "://" in jwks else None
    template = Issuer("", "", name, family, "", "", issuer, audience, tuple(role_map or ()), source)
    with provision(stack, local) as provisioner:
        provisioner.add_issuer(template, keys)
    record = {"name": name, "added": [key.kid for key in keys]}
    terminal.show(record, f"issuer {name} added with {_describe_keys(keys)}")


@app.command("list")
def list_issuers(stack: Stack = None, local: Local = False, json: Json = False) -> None:
    """List the issuers' keys, oldest first."""
    with provision(stack, local) as provisioner:
        records = [_describe(entry) for entry in provisioner.list_issuers()]
    columns = ["name", "key_id", "family", "kid", "algorithm", "issuer", "audience", "roles", "source", "created_at"]
    Terminal(as_json=json).list(columns, records)


@app.command()
def remove(name: Name, stack: Stack = None, local: Local = False, json: Json = False) -> None:
    """Remove an issuer with all its keys.

    Its tokens stop working within 60 seconds, when cached copies have expired.
    """
    with provision(stack, local) as provisioner:
        removed = provisioner.remove_issuer(name)
    text = f"issuer {name} removed; cached copies expire within 60 seconds"
    Terminal(as_json=json).show({"name": name, "removed": removed}, text)


@app.command()
def refresh(name: Name, stack: Stack = None, local: Local = False, json: Json = False) -> None:
    """Fetch an issuer's key set again.

    Adds its new keys and removes those that are gone. Run it when the issuer changes its keys, or every day. Nothing
    else in Pushreg calls the issuer.
    """
    with provision(stack, local) as provisioner:
        source = next((entry.source for entry in provisioner.list_issuers() if entry.name == name), None)
        if source is None:
            raise OperatorError(f"there is no issuer {name} with the URL of a key set: see `pushreg issuers list`")
        terminal = Terminal(as_json=json)
        added, removed = provisioner.refresh_issuer(name, _read_key_set(source, terminal))
    text = f"issuer {name}: {count(len(added), 'key')} added or changed, {count(len(removed), 'key')} removed"
    terminal.show({"name": name, "added": added, "removed": removed}, text)


def _read_key_set(source: str, terminal: Terminal) -> list[PublicKey]:
    keys, problems = read_key_set(source)
    for problem in problems:
        terminal.note(f"left out: {problem}")
    return keys


def _describe_keys(keys: list[PublicKey]) -> str:
    return ", ".join(f"the key {key.kid} ({key.algorithm})" for key in keys)


def _describe(entry: Issuer) -> dict[str, Any]:
    return {
        "name": entry.name,
        "key_id": entry.key_id,
        "family": entry.family,
        "kid": entry.kid,
        "algorithm": entry.algorithm,
        "issuer": entry.issuer,
        "audience": entry.audience,
        "roles": [grant.to_text() for grant in entry.grants],
        "source": entry.source,
        "created_at": entry.created_at,
    }
