"""The push notification subscriptions of Kazoo: routes, authentication, dispatch (docs/spec/kazoo.md)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from kazoo import wire
from kazoo.operations import Call, UnknownDeviceError, create, fetch, remove, replace
from pushreg.credentials import authenticate
from pushreg.dynamodb import Client
from pushreg.errors import ForbiddenError, MethodError, UnauthenticatedError
from pushreg.http import Context, Handler, Request, Response
from pushreg.models.directory import Credential
from pushreg.models.kazoo import Precondition
from pushreg.schema import DAY, EntryName, is_account_id, is_path_id
from pushreg.stores.devices import Devices, SubscriptionCache

RESOURCE = "/v2/accounts/{account_id}/push_notification_subscriptions/{app}/{device_id}"
OPERATIONS = {"GET": fetch, "PUT": create, "POST": replace, "DELETE": remove}


class Dialect:
    """Kazoo's dialect."""

    def __init__(self) -> None:
        self._cache = SubscriptionCache()
        self.routes = {RESOURCE: dict.fromkeys(OPERATIONS, self._answer)}

    def fail(self, error: Exception, request: Request, context: Context) -> Response:
        """Return Kazoo's error envelope (docs/spec/kazoo.md#2-error-envelope)."""
        return wire.fail(error, request, context)

    def _answer(self, request: Request, context: Context) -> Response:
        envelope = wire.decode(request)
        verb = _find_verb(request, envelope)
        context.operation = verb.lower()
        if verb in ("PUT", "POST"):
            wire.check_data(envelope)
        account_id = request.parameters["account_id"]
        app_name, device_id = request.parameters["app"], request.parameters["device_id"]
        secret = wire.find_secret(request, envelope)
        _authenticate(request, context, account_id, secret, is_write=verb != "GET")
        if not wire.accepts_json(request.headers.get("accept")):
            raise wire.AcceptError
        if not (is_path_id(device_id) and is_path_id(app_name)):
            raise UnknownDeviceError(device_id)
        settings = context.settings
        lifetime = settings.stale_after_days * DAY
        devices = Devices(
            context.session, settings.table, account_id, context.moment, context.epoch, lifetime, self._cache
        )
        call = Call(device_id, app_name, envelope.get("data"), Precondition.from_headers(request.headers))
        result = OPERATIONS[verb](devices, call)
        return wire.succeed(request, context, secret, verb, result)


def _find_verb(request: Request, envelope: Mapping[str, Any]) -> str:
    if request.method != "POST":
        return request.method
    # Only POST tunnels another verb: a GET, which a browser sends from any page, must not be able to delete.
    verb = (wire.get_text(envelope, "verb") or request.method).upper()
    if verb not in OPERATIONS:
        raise MethodError(tuple(OPERATIONS))
    return verb


def _authenticate(request: Request, context: Context, account_id: str, secret: str | None, *, is_write: bool) -> None:
    """Check that the caller may act in the account; AccountIdError or UnknownAccountError if there is none."""
    is_well_formed = is_account_id(account_id)
    if is_well_formed:
        context.tenant = account_id

    def check(credential: Credential) -> None:
        context.key_id = credential.key_id
        if request.headers.get("x-auth-account-id", credential.account_id) != credential.account_id:
            raise UnauthenticatedError
        if is_well_formed and credential.account_id != account_id:
            raise ForbiddenError("")
        if is_write and not credential.may_write:
            raise ForbiddenError("access denied by token restrictions")

    target: EntryName | None = ("account", account_id) if is_well_formed else None
    verify_token = partial(context.tokens.verify, context.session, "kazoo", epoch=context.epoch)
    account = authenticate(
        context.directory, context.session, "kazoo", secret, check, target, verify_token=verify_token
    )
    if not is_well_formed:
        raise wire.AccountIdError(account_id)
    if account is None:
        raise wire.UnknownAccountError(account_id)


def create_handler(environ: Mapping[str, str] | None = None, client: Client | None = None, **options: Any) -> Handler:
    """Return a new handler with caches of its own; `options` are those of Handler."""
    return Handler(Dialect(), environ, client, **options)
