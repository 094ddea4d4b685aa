"""`/v2/accounts/{account_id}/push_notification_subscriptions/{app}/{device_id}`: route, parse, dispatch (seed 000)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from snapshot_restore_py import register_before_snapshot

from kazoo import wire
from kazoo.operations import PreconditionError, UnknownDeviceError, create, fetch, remove, replace
from pushreg.credentials import authenticate, bearer
from pushreg.dynamodb import Client
from pushreg.errors import ForbiddenError, MethodError, RouteError, UnauthenticatedError
from pushreg.http import Context, Handler, Request, Response
from pushreg.models.directory import Credential
from pushreg.models.kazoo import Content, Precondition
from pushreg.schema import EntryKind, is_account_id, is_path_id
from pushreg.stores.devices import Devices, SubscriptionCache

METHODS = ("GET", "PUT", "POST", "DELETE")
# What a path may hold as it is (RFC 3986, pchar); the event's path is decoded.
_PATH = "/~!$&'()*+,;=:@"


@dataclass(frozen=True, slots=True)
class Call:
    """One request as the operations see it."""

    verb: str
    account_id: str
    app_name: str
    device_id: str
    data: Any


class Dialect:
    """Kazoo's dialect."""

    def __init__(self) -> None:
        self._cache = SubscriptionCache()

    def answer(self, request: Request, context: Context) -> Response:
        """Carry out the verb on the subscription that the path names."""
        header = request.headers.get("x-auth-token")
        request.secret = header or bearer(request.headers.get("authorization"))
        sent = wire.read(request.read_body(), request.headers.get("content-type"))
        if not header:
            request.secret = wire.text(sent, "auth_token") or request.secret
        call = _parse(request, sent)
        request.operation = call.verb.lower()
        if not _authenticate(request, context, call):
            raise wire.AccountError(call.account_id)
        if not wire.accepts_json(request.headers.get("accept")):
            raise wire.AcceptError
        if not (is_path_id(call.device_id) and is_path_id(call.app_name)):
            raise UnknownDeviceError
        devices = Devices(request.session, context.settings.table, call.account_id, request.moment, self._cache)
        return _operate(request, devices, call)

    def fail(self, request: Request, context: Context, error: Exception) -> Response:
        """Return Kazoo's error envelope (spec/kazoo.md section 2)."""
        return wire.refuse(request, error)


def _parse(request: Request, sent: Mapping[str, Any]) -> Call:
    parameters = request.parameters
    if not all(name in parameters for name in ("account_id", "app", "device_id")):
        raise RouteError
    verb = request.method
    if verb == "POST":
        # Tunnelling, on POST alone: a query string or a GET must not be able to delete.
        verb = (wire.text(sent, "verb") or verb).upper()
    if verb not in METHODS:
        raise MethodError(METHODS)
    if verb in ("PUT", "POST"):
        wire.check_data(sent)
    return Call(verb, parameters["account_id"], parameters["app"], parameters["device_id"], sent.get("data"))


def _authenticate(request: Request, context: Context, call: Call) -> bool:
    """Let the caller pass, and tell whether the account exists."""
    well_formed = is_account_id(call.account_id)

    def check(credential: Credential) -> None:
        if request.headers.get("x-auth-account-id", credential.account_id) != credential.account_id:
            raise UnauthenticatedError
        if well_formed and credential.account_id != call.account_id:
            raise ForbiddenError("")
        if call.verb != "GET" and not credential.may_write:
            raise ForbiddenError("access denied by token restrictions")

    target: tuple[EntryKind, str] | None = ("account", call.account_id) if well_formed else None
    account = authenticate(context.directory, request.session, "kazoo", request.secret, check, target)
    return account is not None


def _operate(request: Request, devices: Devices, call: Call) -> Response:
    precondition = Precondition.from_headers(request.headers)
    match call.verb:
        case "GET":
            found = fetch(devices, call.device_id, call.app_name)
            headers = {"etag": f'"{found.revision}"', "expires": "Fri, 01 Jan 1999 00:00:00 GMT"}
            if precondition.wanted is not None and not Precondition(precondition.wanted).holds(found.revision):
                raise PreconditionError
            if precondition.excludes(found.revision):
                return Response(304, b"", None, "unchanged", headers)
            return wire.succeed(request, 200, found.content.document, found.revision, "found", headers)
        case "PUT":
            content = Content.from_data(call.data, call.app_name)
            created = create(devices, call.device_id, content, precondition)
            # Kazoo's own Location repeats the device id, an artefact of its framework that leads nowhere.
            headers = {"location": quote(request.path, safe=_PATH)}
            document = created.content.document
            return wire.succeed(request, 201, document, created.revision, "created", headers)
        case "POST":
            content = Content.from_data(call.data, call.app_name)
            replaced, outcome = replace(devices, call.device_id, content, precondition)
            return wire.succeed(request, 200, replaced.content.document, replaced.revision, outcome)
    removed = remove(devices, call.device_id, call.app_name, precondition)
    data = {"id": call.device_id, "_read_only": {"deleted": True}}
    return wire.succeed(request, 200, data, removed.revision, "deleted")


def create_handler(environ: Mapping[str, str] | None = None, client: Client | None = None, **options: Any) -> Handler:
    """Return a handler of its own; `options` are those of Handler."""
    return Handler(Dialect(), environ, client, **options)


handler = create_handler()
# SnapStart takes its picture with the client made; nothing in it is unique or bound to a moment.
register_before_snapshot(handler.prepare)
