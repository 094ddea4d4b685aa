"""`/vpns/subscription`, `/kpns/subscription`, `/subscription`: route, parse, admit (seeds 001 and 003)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from snapshot_restore_py import register_before_snapshot

from engagement import answers
from engagement.operations import NoSubscriptionError, subscribe, unsubscribe
from pushreg.errors import MethodError
from pushreg.http import Handler, Request, Response, Services
from pushreg.models.directory import Application
from pushreg.models.engagement import Subscribe, Unsubscribe, parse
from pushreg.stores.subscribers import Subscriber, Subscribers
from pushreg.table import Client

_KSID = re.compile(r"[1-9][0-9]{18}", re.ASCII)


class Family:
    """The engagement servers' dialect."""

    def answer(self, request: Request, services: Services) -> Response:
        """Subscribe or unsubscribe, as the body says, and answer in its format."""
        if request.method != "POST":
            raise MethodError(("POST",))
        form = parse(answers.decode(request))
        request.operation = "subscribe" if isinstance(form, Subscribe) else "unsubscribe"
        settings = services.settings
        lifetime = settings.stale_after_days * 86_400
        subscribers = Subscribers(request.session, settings.table, request.moment, request.epoch, lifetime)
        if isinstance(form, Subscribe):
            _admit(request, services, form.appId, form.authToken)
            ksid, outcome = subscribe(subscribers, form)
        else:
            known = _admit_unsubscriber(request, services, subscribers, form)
            ksid, outcome = unsubscribe(subscribers, form, known)
        return answers.succeed(request, settings, ksid, outcome)

    def fail(self, request: Request, services: Services, error: Exception) -> Response:
        """Return the failure form of spec/engagement.md section 3, ksid -1, in the request's format."""
        return answers.refuse(request, services.settings, error)


def _admit_unsubscriber(
    request: Request, services: Services, subscribers: Subscribers, form: Unsubscribe
) -> Subscriber | None:
    """Let the caller pass under the application it names or that of its KSID; return the subscriber if read."""
    if form.ksid is not None and not _KSID.fullmatch(form.ksid):
        raise NoSubscriptionError
    if form.appId is not None:
        _admit(request, services, form.appId, form.authToken)
        return None
    known = subscribers.get(form.ksid or "")
    if known is None:
        raise NoSubscriptionError
    _admit(request, services, known.appId, form.authToken)
    return known


def _admit(request: Request, services: Services, app_id: str, auth_token: str | None) -> None:
    """Let the caller pass; ApplicationError if nobody knows the application, AuthTokenError without its token."""
    (application,) = services.directory.find(request.session, ("application", app_id))
    if not isinstance(application, Application):
        raise answers.ApplicationError
    # The SDK sends the token in the body, and in a header on its other calls (spec/engagement.md section 8).
    if not application.admits(request.headers.get("x-device-authtoken") or auth_token):
        raise answers.AuthTokenError


def create_handler(environ: Mapping[str, str] | None = None, client: Client | None = None, **options: Any) -> Handler:
    """Return a handler of its own; `options` are those of Handler."""
    return Handler(Family(), environ, client, **options)


handler = create_handler()
# SnapStart takes its picture with the client made; nothing in it is unique or bound to a moment.
register_before_snapshot(handler.prepare)
