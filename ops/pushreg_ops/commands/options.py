"""Options, arguments and parsers that several commands share."""

from __future__ import annotations

import getpass
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from pushreg.schema import MAX_IDENTIFIER, is_account_id, is_application_id, to_place_id
from pushreg_ops.provision import Provisioner
from pushreg_ops.registry import Registry, explain_failures, open_registry

Stack = Annotated[
    str | None, typer.Option("--stack", metavar="NAME", help="Use a deployed stack; its outputs name the tables.")
]
Local = Annotated[
    bool, typer.Option("--local", help="Use the running local stack, or the DynamoDB endpoint in PUSHREG_ENDPOINT.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
WithRegistrations = Annotated[
    bool,
    typer.Option(
        "--with-registrations", help="Also remove its registrations and the keys that reach nothing else; asks first."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print machine-readable JSON.")]


# API Gateway accepts 10,240 bytes of request line and headers.
MAX_SECRET = 4096
_HEADER_VALUE = re.compile(r"[!-~]+", re.ASCII)


def is_utf8(text: str) -> bool:
    """Whether the text has no lone surrogates, which stand for bytes that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_secret(text: str, option: str) -> str:
    """Return the secret that an option gives: as it is, of `@FILE`, or of `-`, which prompts on a terminal.

    BadParameter if no header can carry it.
    """
    secret = _read_secret(text, option)
    if _HEADER_VALUE.fullmatch(secret) is None or len(secret) > MAX_SECRET:
        problem = f"a secret is sent in a header: 1 to {MAX_SECRET:,} printable ASCII characters without spaces"
        raise typer.BadParameter(problem, param_hint=option)
    return secret


def _read_secret(text: str, option: str) -> str:
    if text == "-":
        return getpass.getpass("Secret: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{text[1:]} cannot be read", param_hint=option) from error


@contextmanager
def reach(stack: str | None, local: bool) -> Iterator[Registry]:
    """Yield the registry selected by the options; failures inside the block become OperatorError."""
    registry = open_registry(stack, local, os.environ)
    with explain_failures(registry):
        yield registry


@contextmanager
def provision(stack: str | None, local: bool) -> Iterator[Provisioner]:
    """Yield the provisioner of the registry selected by the options; see `reach`."""
    with reach(stack, local) as registry:
        yield Provisioner(registry)


def parse_account_id(text: str) -> str:
    """Return the id as it is; letter case matters."""
    if not is_account_id(text):
        raise typer.BadParameter(f"{text!r} is not an account id: 32 characters, none of them a slash")
    return text


def parse_place_id(text: str) -> str:
    """Return the UUID in lower case, with its hyphens."""
    place_id = to_place_id(text)
    if place_id is None:
        raise typer.BadParameter(f"{text!r} is not a place id: a UUID with hyphens")
    return place_id


def parse_application_id(text: str) -> str:
    """Return the id as it is."""
    if not is_application_id(text):
        raise typer.BadParameter(
            f"{text!r} is not an application id: 1 to {MAX_IDENTIFIER} characters, no leading or trailing space"
        )
    return text
