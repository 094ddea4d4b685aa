"""The legacy subscription URLs of the engagement servers: routes, authentication, dispatch.

docs/spec/engagement.md#1-endpoints lists the URLs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engagement import wire
from engagement.operations import NoSubscriptionError, subscribe, unsubscribe
from pushreg.dynamodb import Client
from pushreg.http import Context, Handler, Request, Response
from pushreg.models.directory import Application
from pushreg.models.engagement import Subscribe, Unsubscribe
from pushreg.schema import DAY, is_ksid
from pushreg.stores.subscribers import Subscriber, Subscribers

RESOURCES = ("/vpns/subscription", "/kpns/subscription", "/subscription")


class Dialect:
    """The engagement servers' dialect."""

    def __init__(self) -> None:
        self.routes = {resource: {"POST": _answer} for resource in RESOURCES}

    def fail(self, error: Exception, request: Request, context: Context) -> Response:
        """Return the failure form, KSID -1, in the request's format (docs/spec/engagement.md#3-legacy-response)."""
        return wire.fail(error, request, context.settings)


def _answer(request: Request, context: Context) -> Response:
    """Subscribe or unsubscribe, as the body says."""
    form = wire.read_form(request)
    subscribers = _open(request, context)
    if isinstance(form, Subscribe):
        context.operation = "subscribe"
        _authenticate(request, context, form.appId, form.authToken)
        ksid, outcome = subscribe(subscribers, form)
    else:
        context.operation = "unsubscribe"
        known = _authenticate_unsubscribe(request, context, subscribers, form)
        ksid, outcome = unsubscribe(subscribers, form, known)
    return wire.succeed(request, context.settings, ksid, outcome)


def _open(request: Request, context: Context) -> Subscribers:
    settings = context.settings
    lifetime = settings.stale_after_days * DAY
    user_agent = request.headers.get("user-agent")
    return Subscribers(
        context.session, settings.table, context.moment, context.epoch, lifetime, user_agent, request.source_ip
    )


def _authenticate_unsubscribe(
    request: Request, context: Context, subscribers: Subscribers, form: Unsubscribe
) -> Subscriber | None:
    """Authenticate for the application named, or that of the KSID; return the subscriber if it had to be read."""
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
    """Raise ApplicationError if the application is unknown, AuthTokenError unless its authToken came, if it has one."""
    (application,) = context.directory.find(context.session, ("application", app_id))
    if not isinstance(application, Application):
        raise wire.ApplicationError
    context.tenant = application.application_id
    # SDKs send the token in the body or in a header (docs/spec/engagement.md#8-authentication).
    if not application.accepts(request.headers.get("x-device-authtoken") or auth_token):
        raise wire.AuthTokenError


def create_handler(environ: Mapping[str, str] | None = None, client: Client | None = None, **options: Any) -> Handler:
    """Return a new handler with caches of its own; `options` are those of Handler."""
    return Handler(Dialect(), environ, client, **options)
