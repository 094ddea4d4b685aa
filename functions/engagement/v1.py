"""The modern engagement API, for devices and for consoles and senders: routes, authentication, dispatch.

docs/spec/engagement-v1.md#2-endpoints lists the URLs.
"""

from __future__ import annotations

from engagement import management, wire_v1
from engagement.access import authenticate_device, authenticate_manager
from engagement.operations import NoSubscriptionError, subscribe, unsubscribe
from pushreg.errors import MethodError
from pushreg.http import Context, Operation, Request, Response, Routes
from pushreg.models.engagement import Subscribe, Unsubscribe
from pushreg.schema import DAY, is_ksid
from pushreg.stores.managed_subscribers import ManagedSubscribers

# On premises the API is below the server's context path, in the cloud at the root.
PREFIXES = ("", "/vpns", "/kpns")


def list_routes() -> Routes:
    """Return the API's operations by method and resource."""
    routes: dict[str, dict[str, Operation]] = {}
    for prefix in PREFIXES:
        base = f"{prefix}/api/v1"
        routes[f"{base}/subscribers"] = {"GET": _list, "POST": _subscribe}
        routes[f"{base}/subscribers/{{ksid}}"] = {"GET": _read, "DELETE": _unsubscribe, "POST": _override}
        routes[f"{base}/subscribers/{{ksid}}/activate"] = {"POST": _activate}
        routes[f"{base}/subscribers/{{ksid}}/inactivate"] = {"POST": _inactivate}
        routes[f"{base}/subscribers/delete/ksids"] = {"POST": _delete}
        routes[f"{base}/location"] = {"POST": _locate}
        routes[f"{prefix}{wire_v1.LEGACY_LOCATION}"] = {"POST": _locate}
    return routes


def open_subscribers(request: Request, context: Context) -> ManagedSubscribers:
    """Return the store of the request, which notes who subscribes."""
    settings = context.settings
    lifetime = settings.stale_after_days * DAY
    caller = request.headers.get("user-agent"), request.source_ip
    return ManagedSubscribers(context.session, settings.table, context.moment, context.epoch, lifetime, *caller)


def _subscribe(request: Request, context: Context) -> Response:
    """Subscribe or unsubscribe, as the body says."""
    context.operation = "subscribe"
    form = wire_v1.read_form(request)
    if not isinstance(form, Subscribe):
        return _unsubscribe_ksid(request, context, form.ksid, form.authToken)
    application = authenticate_device(request, context, form.appId, form.authToken)
    subscribers = open_subscribers(request, context)
    ksid, outcome = subscribe(subscribers, form, device_wins=True, is_strict=application.is_strict)
    return wire_v1.succeed(request, ksid, outcome)


def _unsubscribe(request: Request, context: Context) -> Response:
    # SDKs send no body or `null`; nothing in it would matter.
    request.read_body()
    return _unsubscribe_ksid(request, context, request.parameters["ksid"], None)


def _unsubscribe_ksid(request: Request, context: Context, ksid: str, auth_token: str | None) -> Response:
    context.operation = "unsubscribe"
    subscribers = open_subscribers(request, context)
    known = subscribers.get(ksid) if is_ksid(ksid) else None
    if known is None:
        raise NoSubscriptionError
    authenticate_device(request, context, known.appId, auth_token)
    _, outcome = unsubscribe(subscribers, Unsubscribe(ksid=ksid), known)
    return wire_v1.succeed(request, ksid, outcome)


def _override(request: Request, context: Context) -> Response:
    """Answer a POST as the method that its X-HTTP-Method-Override names."""
    method = request.headers.get("x-http-method-override", "").strip().upper()
    operations: dict[str, Operation] = {"GET": _read, "DELETE": _unsubscribe}
    if method not in operations:
        raise MethodError(tuple(operations))
    return operations[method](request._replace(method=method), context)


def _locate(request: Request, context: Context) -> Response:
    """Accept the position of a known subscriber; positions are not stored."""
    context.operation = "location"
    location = wire_v1.read_location(request)
    known = open_subscribers(request, context).get(location.ksid)
    if known is None:
        raise NoSubscriptionError
    authenticate_device(request, context, known.appId, location.authToken)
    return wire_v1.locate(request, location.ksid)


def _read(request: Request, context: Context) -> Response:
    context.operation = "read"
    credential = authenticate_manager(request, context, is_write=False)
    ksid = _read_ksid(request)
    subscriber = management.read(open_subscribers(request, context), credential, ksid)
    context.tenant = subscriber.appId
    return wire_v1.show(subscriber)


def _list(request: Request, context: Context) -> Response:
    context.operation = "list"
    credential = authenticate_manager(request, context, is_write=False)
    query = wire_v1.read_query(request)
    context.tenant = query.appId
    listing = management.list_subscribers(open_subscribers(request, context), credential, query)
    rows = wire_v1.fit(listing.subscribers)
    shown = listing.truncate(len(rows))
    return wire_v1.show_list(listing.total, rows, management.make_cursor(shown))


def _activate(request: Request, context: Context) -> Response:
    return _set_active(request, context, "activate", active=True)


def _inactivate(request: Request, context: Context) -> Response:
    return _set_active(request, context, "inactivate", active=False)


def _set_active(request: Request, context: Context, operation: str, *, active: bool) -> Response:
    context.operation = operation
    request.read_body()
    credential = authenticate_manager(request, context, is_write=True)
    ksid = _read_ksid(request)
    outcome = management.set_active(open_subscribers(request, context), credential, ksid, active)
    return wire_v1.confirm(wire_v1.STATUS_UPDATED, ksid, outcome)


def _delete(request: Request, context: Context) -> Response:
    context.operation = "delete"
    credential = authenticate_manager(request, context, is_write=True)
    ksids = wire_v1.read_ksids(request)
    management.delete(open_subscribers(request, context), credential, ksids)
    return wire_v1.confirm(wire_v1.DELETED, "", "deleted")


def _read_ksid(request: Request) -> str:
    ksid = request.parameters["ksid"]
    if not is_ksid(ksid):
        raise NoSubscriptionError
    return ksid
