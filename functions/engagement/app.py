"""The engagement servers: the legacy subscription URLs, and dispatch to the modern API of `v1`.

docs/spec/engagement.md#1-endpoints lists the URLs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engagement import v1, wire, wire_v1
from engagement.access import authenticate_device
from engagement.operations import NoSubscriptionError, subscribe, unsubscribe
from pushreg.dynamodb import Client
from pushreg.http import Context, Handler, Request, Response
from pushreg.models.engagement import Subscribe, Unsubscribe
from pushreg.stores.subscribers import Subscriber, Subscribers

RESOURCES = ("/vpns/subscription", "/kpns/subscription", "/subscription")


class Dialect:
    """The engagement servers' dialect."""

    def __init__(self) -> None:
        self._modern = v1.list_routes()
        self.routes = {**{resource: {"POST": _answer} for resource in RESOURCES}, **self._modern}

    def fail(self, error: Exception, request: Request, context: Context) -> Response:
        """Return the failure form of the request's API, in the request's format."""
        if request.resource in self._modern:
            return wire_v1.fail(error, request, context.operation)
        return wire.fail(error, request, context.settings)


def _answer(request: Request, context: Context) -> Response:
    """Subscribe or unsubscribe, as the body says."""
    form = wire.read_form(request)
    subscribers = v1.open_subscribers(request, context)
    if isinstance(form, Subscribe):
        context.operation = "subscribe"
        application = authenticate_device(request, context, form.appId, form.authToken)
        ksid, outcome = subscribe(subscribers, form, is_strict=application.is_strict)
        return wire.succeed(request, context.settings, ksid, outcome, application.duplicate_as_update)
    context.operation = "unsubscribe"
    known = _authenticate_unsubscribe(request, context, subscribers, form)
    ksid, outcome = unsubscribe(subscribers, form, known)
    return wire.succeed(request, context.settings, ksid, outcome)


def _authenticate_unsubscribe(
    request: Request, context: Context, subscribers: Subscribers, form: Unsubscribe
) -> Subscriber | None:
    """Authenticate for the application named, or that of the KSID; return the subscriber if it had to be read."""
    if form.appId is not None:
        authenticate_device(request, context, form.appId, form.authToken)
        return None
    known = subscribers.get(form.ksid or "")
    if known is None:
        raise NoSubscriptionError
    authenticate_device(request, context, known.appId, form.authToken)
    return known


def create_handler(environ: Mapping[str, str] | None = None, client: Client | None = None, **options: Any) -> Handler:
    """Return a new handler with caches of its own; `options` are those of Handler."""
    return Handler(Dialect(), environ, client, **options)
