"""Who may act for a device, and who may manage an application's subscribers.

docs/spec/engagement-v1.md#10-authentication-of-each-call says what clients send.
"""

from __future__ import annotations

import base64
import binascii

from pushreg.credentials import authenticate, bearer
from pushreg.errors import PushregError, UnauthenticatedError
from pushreg.http import Context, Request
from pushreg.models.directory import Application, Credential
from pushreg.models.text import is_placeholder, trim

# Each carries the same secret; the first that is sent counts.
_SECRET_HEADERS = ("x-voltmx-app-api-key", "x-kony-app-api-key", "x-voltmx-authorization", "x-kony-authorization")


class ApplicationError(PushregError):
    """The application is unknown."""


class AuthTokenError(PushregError):
    """The application has an authToken, and the request's is missing or wrong."""


def authenticate_device(request: Request, context: Context, app_id: str, auth_token: str | None) -> Application:
    """Return the application; ApplicationError if it is unknown, AuthTokenError if its authToken is wrong or missing.

    The header's token takes precedence over the body's.
    """
    (application,) = context.directory.find(context.session, ("application", app_id))
    if not isinstance(application, Application):
        raise ApplicationError
    context.tenant = application.application_id
    if not application.accepts(_read_header(request, "x-device-authtoken") or auth_token):
        raise AuthTokenError
    return application


def authenticate_manager(request: Request, context: Context, *, is_write: bool) -> Credential:
    """Return the caller's credential; UnauthenticatedError if there is none, or if a read-only key is used to write."""
    found: list[Credential] = []

    def check(credential: Credential) -> None:
        context.key_id = credential.key_id
        if is_write and not credential.may_write:
            # The servers' protocol knows no 403 here.
            raise UnauthenticatedError
        found.append(credential)

    authenticate(context.directory, context.session, "engagement", _read_secret(request), check)
    return found[0]


def _read_secret(request: Request) -> str | None:
    authorization = _read_header(request, "authorization")
    sent = [bearer(authorization) or _read_password(authorization)]
    sent += [_read_header(request, name) for name in _SECRET_HEADERS]
    return next((secret for secret in sent if secret is not None and not is_placeholder(secret)), None)


def _read_password(authorization: str | None) -> str | None:
    """Return the password of an `Authorization: Basic` header (RFC 7617), with whatever user name, or None."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        credentials = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    return credentials.partition(":")[2] or None


def _read_header(request: Request, name: str) -> str | None:
    # Web builds of the SDK print a missing value.
    value = trim(request.headers.get(name, ""))
    return None if is_placeholder(value) else value
