"""What senders report and ask: routes, authentication, dispatch (docs/sending.md)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pushreg.credentials import authenticate, bearer
from pushreg.dynamodb import Client
from pushreg.http import Context, Handler, Request, Response
from pushreg.models.directory import Credential
from pushreg.schema import DAY
from senders import wire
from senders.operations import Caller, look_up, report

FEEDBACK, LOOKUP = "/pushreg/v1/feedback", "/pushreg/v1/lookup"


class Dialect:
    """The senders' dialect, which is Pushreg's own."""

    def __init__(self) -> None:
        self.routes = {FEEDBACK: {"POST": _report}, LOOKUP: {"POST": _look_up}}

    def fail(self, error: Exception, request: Request, context: Context) -> Response:
        """Return the flat `{error, message}` form."""
        return wire.fail(error)


def _report(request: Request, context: Context) -> Response:
    context.operation = "feedback"
    body = request.read_body()
    caller = _authenticate(request, context)
    entries, _ = wire.decode(body, "results")
    return wire.succeed_report(report(caller, entries))


def _look_up(request: Request, context: Context) -> Response:
    context.operation = "lookup"
    body = request.read_body()
    caller = _authenticate(request, context)
    entries, cursor = wire.decode(body, "addresses")
    return wire.succeed_lookup(*look_up(caller, entries, cursor))


def _authenticate(request: Request, context: Context) -> Caller:
    credentials: list[Credential] = []
    secret = bearer(request.headers.get("authorization"))
    # Every key of this family is for senders; what it reaches is checked for each entry.
    authenticate(context.directory, context.session, "senders", secret, credentials.append)
    (credential,) = credentials
    context.key_id = credential.key_id
    settings = context.settings
    lifetimes = {table: days * DAY for table, days in settings.table_stale_after_days.items()}
    now = datetime.fromtimestamp(context.epoch, UTC)
    return Caller(context.session, credential, settings.tables, lifetimes, now)


def create_handler(environ: Mapping[str, str] | None = None, client: Client | None = None, **options: Any) -> Handler:
    """Return a new handler with caches of its own; `options` are those of Handler."""
    return Handler(Dialect(), environ, client, **options)
