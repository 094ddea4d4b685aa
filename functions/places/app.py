"""The Device Token Service: routes, authentication, dispatch (docs/spec/places.md)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from places import wire
from places.operations import register, unregister
from pushreg.credentials import authenticate, bearer
from pushreg.dynamodb import Client
from pushreg.errors import ForbiddenError
from pushreg.http import Context, Handler, Request, Response
from pushreg.models.directory import Credential, CredentialFamily
from pushreg.schema import DAY, EntryName, to_place_id
from pushreg.stores.places import Places

RESOURCE = "/dts/places/{place_id}/subscriptions"
OPERATIONS = {"PUT": register, "DELETE": unregister}


class Dialect:
    """The Device Token Service's dialect."""

    def __init__(self) -> None:
        self.routes = {RESOURCE: {"GET": _list, **dict.fromkeys(OPERATIONS, _answer)}}

    def fail(self, error: Exception, request: Request, context: Context) -> Response:
        """Return the flat `{error, message}` form (docs/spec/places.md#3-responses)."""
        return wire.fail(error)


def _answer(request: Request, context: Context) -> Response:
    body = request.read_body()
    place_id = to_place_id(request.parameters["place_id"])
    # DELETE asks only for the row: the service documents no `Place not found` for it.
    exists = _authenticate(request, context, place_id, look_up=request.method == "PUT")
    if place_id is None:
        raise wire.PlaceIdError
    token = wire.decode(body)
    if not exists:
        raise wire.UnknownPlaceError
    outcome = OPERATIONS[request.method](_open(context), place_id, token)
    return wire.succeed(request.method, place_id, token, outcome)


def _list(request: Request, context: Context) -> Response:
    place_id = to_place_id(request.parameters["place_id"])
    exists = _authenticate(request, context, place_id, look_up=True)
    if place_id is None:
        raise wire.PlaceIdError
    limit, cursor = wire.read_page(request.query)
    if not exists:
        raise wire.UnknownPlaceError
    rows, following = _open(context).list(place_id, limit, cursor)
    return wire.succeed_list(place_id, rows, following)


def _open(context: Context) -> Places:
    lifetime = context.settings.stale_after_days * DAY
    return Places(context.session, context.settings.table, context.moment, context.epoch, lifetime)


def _authenticate(request: Request, context: Context, place_id: str | None, *, look_up: bool) -> bool:
    """Check that the caller may do this at the place, and return whether the place exists, if that is to be looked up.

    Keys of senders may read, and are refused the rest like those of other families.
    """
    context.tenant = place_id
    is_read = request.method == "GET"

    def check(credential: Credential) -> None:
        context.key_id = credential.key_id
        if not (credential.may_list if is_read else credential.may_write):
            raise ForbiddenError("The API key's scope does not allow this")
        if place_id is not None and not credential.reaches_place(place_id):
            raise ForbiddenError("The API key has no access to this place")

    target: EntryName | None = ("place", place_id) if look_up and place_id is not None else None
    secret = bearer(request.headers.get("authorization"))
    verify_token = partial(context.tokens.verify, context.session, "places", epoch=context.epoch)
    also: tuple[CredentialFamily, ...] = ("senders",) if is_read else ()
    entry = authenticate(context.directory, context.session, "places", secret, check, target, also, verify_token)
    return entry is not None or not look_up


def create_handler(environ: Mapping[str, str] | None = None, client: Client | None = None, **options: Any) -> Handler:
    """Return a new handler with caches of its own; `options` are those of Handler."""
    return Handler(Dialect(), environ, client, **options)
