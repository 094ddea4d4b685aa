"""`/vpns/subscription`, `/kpns/subscription`, `/subscription`: route, parse, authenticate (seeds 001 and 003)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snapshot_restore_py import register_before_snapshot

from engagement import wire
from engagement.operations import NoSubscriptionError, subscribe, unsubscribe
from pushreg.dynamodb import Client
from pushreg.errors import MethodError
from pushreg.http import Context, Handler, Request, Response
from pushreg.models.directory import Application
from pushreg.models.engagement import Subscribe, Unsubscribe, parse
from pushreg.schema import DAY, is_ksid
from pushreg.stores.subscribers import Subscriber, Subscribers


class Dialect:
    """The engagement servers' dialect."""

    def answer(self, request: Request, context: Context) -> Response:
        """Subscribe or unsubscribe, as the body says, and answer in its format."""
        if request.method != "POST":
            raise MethodError(("POST",))
        form = parse(wire.decode(request))
        request.operation = "subscribe" if isinstance(form, Subscribe) else "unsubscribe"
        settings = context.settings
        lifetime = settings.stale_after_days * DAY
        subscribers = Subscribers(request.session, settings.table, request.moment, request.epoch, lifetime)
        if isinstance(form, Subscribe):
            _authenticate(request, context, form.appId, form.authToken)
            ksid, outcome = subscribe(subscribers, form)
        else:
            known = _admit_unsubscriber(request, context, subscribers, form)
            ksid, outcome = unsubscribe(subscribers, form, known)
        return wire.succeed(request, settings, ksid, outcome)

    def fail(self, request: Request, context: Context, error: Exception) -> Response:
        """Return the failure form of spec/engagement.md section 3, ksid -1, in the request's format."""
        return wire.refuse(request, context.settings, error)


def _admit_unsubscriber(
    request: Request, context: Context, subscribers: Subscribers, form: Unsubscribe
) -> Subscriber | None:
    """Let the caller pass under the application it names or that of its KSID; return the subscriber if read."""
    if form.ksid is not None and not is_ksid(form.ksid):
        raise NoSubscriptionError
    if form.appId is not None:
        _authenticate(request, context, form.appId, form.authToken)
        return None
    known = subscribers.get(form.ksid or "")
    if known is None:
        raise NoSubscriptionError
    _authenticate(request, context, known.appId, form.authToken)
    return known


def _authenticate(request: Request, context: Context, app_id: str, auth_token: str | None) -> None:
    """Let the caller pass; ApplicationError if nobody knows the application, AuthTokenError without its token."""
    (application,) = context.directory.find(request.session, ("application", app_id))
    if not isinstance(application, Application):
        raise wire.ApplicationError
    # The SDK sends the token in the body, and in a header on its other calls (spec/engagement.md section 8).
    if not application.admits(request.headers.get("x-device-authtoken") or auth_token):
        raise wire.AuthTokenError


def create_handler(environ: Mapping[str, str] | None = None, client: Client | None = None, **options: Any) -> Handler:
    """Return a handler of its own; `options` are those of Handler."""
    return Handler(Dialect(), environ, client, **options)


handler = create_handler()
# SnapStart takes its picture with the client made; nothing in it is unique or bound to a moment.
register_before_snapshot(handler.prepare)
