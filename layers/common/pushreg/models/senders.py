"""What senders report and ask (docs/sending.md): addresses, verdicts, and what the push providers' codes mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints, ValidationError

from pushreg.errors import PushregError
from pushreg.schema import (
    MAX_IDENTIFIER,
    MAX_TOKEN_BYTES,
    is_account_id,
    is_application_id,
    is_ksid,
    is_path_id,
    to_place_id,
)

Meaning = Literal["dead", "kept"]

# A report of this code says that the provider accepted a message for the address.
OK = "ok"
_DEAD: Mapping[str, frozenset[str]] = {
    "fcm": frozenset({"UNREGISTERED"}),
    "apns": frozenset({"BadDeviceToken", "DeviceTokenNotForTopic", "ExpiredToken", "Unregistered"}),
    "webpush": frozenset({"404", "410"}),
    "wns": frozenset({"404", "410"}),
}
_KEPT: Mapping[str, frozenset[str]] = {
    "fcm": frozenset(
        {
            "INTERNAL",
            "INVALID_ARGUMENT",
            "QUOTA_EXCEEDED",
            "SENDER_ID_MISMATCH",
            "THIRD_PARTY_AUTH_ERROR",
            "UNAVAILABLE",
            "UNSPECIFIED_ERROR",
        }
    ),
    "apns": frozenset(
        {
            "BadCertificate",
            "BadCertificateEnvironment",
            "BadCollapseId",
            "BadEnvironmentKeyIdInToken",
            "BadExpirationDate",
            "BadMessageId",
            "BadPath",
            "BadPriority",
            "BadTopic",
            "DuplicateHeaders",
            "ExpiredProviderToken",
            "Forbidden",
            "IdleTimeout",
            "InternalServerError",
            "InvalidProviderToken",
            "InvalidPushType",
            "MethodNotAllowed",
            "MissingDeviceToken",
            "MissingProviderToken",
            "MissingTopic",
            "PayloadEmpty",
            "PayloadTooLarge",
            "ServiceUnavailable",
            "Shutdown",
            "TooManyProviderTokenUpdates",
            "TooManyRequests",
            "TopicDisallowed",
            "UnrelatedKeyIdInToken",
        }
    ),
    "webpush": frozenset({"400", "401", "403", "413", "429", "500", "502", "503", "504"}),
    "wns": frozenset({"400", "401", "403", "405", "406", "413", "500", "503"}),
}
# What each provider's codes say about the token (docs/sending.md#codes): `dead` ends its registration, `kept` does not.
CODES: Mapping[str, Mapping[str, Meaning]] = {
    provider: {**dict.fromkeys(_DEAD[provider], "dead"), **dict.fromkeys(_KEPT[provider], "kept")} for provider in _DEAD
}
# How far a sender's clock may be ahead of the registry's.
MAX_CLOCK_SKEW = timedelta(minutes=5)

# The provider that delivers to each osType of engagement subscribers (docs/spec/engagement.md#21-ostype).
PROVIDERS: Mapping[str, str] = {
    "android": "fcm",
    "androidgcm": "fcm",
    "androidjpush": "jpush",
    "blackberry": "blackberry",
    "ipad": "apns",
    "iphone": "apns",
    "ipod": "apns",
    "iwatch": "apns",
    "webfcm": "fcm",
    "windows": "mpns",
    "windows8": "wns",
}
# Places hold FCM registration tokens (docs/spec/places.md).
PLACES_PROVIDER = "fcm"

# RFC 3339, of years with four digits in every time zone, since stored times are compared as texts. The fraction has as
# many digits as the sender's platform prints: 3 to 9.
_MOMENT = re.compile(r"((?:19[7-9]\d|2\d{3})-\d\d-\d\d[Tt ]\d\d:\d\d:)(\d\d)(?:\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
# A Firebase installation id, a colon, and the rest of an FCM registration token.
_FCM_TOKEN = re.compile(r"([A-Za-z0-9_-]+):APA91b[A-Za-z0-9_-]+", re.ASCII)


class EntryError(PushregError):
    """An entry of a request is malformed; `reason` may be shown to the caller."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _to_text(value: Any) -> Any:
    # KSIDs and HTTP statuses may come as numbers; an int keeps all its digits.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _to_place_id(text: str) -> str:
    place_id = to_place_id(text)
    if place_id is None:
        raise ValueError("must be a UUID")
    return place_id


def _check_token(text: str) -> str:
    if len(text.encode()) > MAX_TOKEN_BYTES:
        raise ValueError(f"must not be longer than {MAX_TOKEN_BYTES} bytes")
    return text


def _check_ksid(text: str) -> str:
    if not is_ksid(text):
        raise ValueError("must be a KSID")
    return text


def _check_account_id(text: str) -> str:
    if not is_account_id(text):
        raise ValueError("must be an account id")
    return text


def _check_path_id(text: str) -> str:
    if not is_path_id(text):
        raise ValueError("must be a device id")
    return text


def _check_application_id(text: str) -> str:
    if not is_application_id(text):
        raise ValueError("must be an application id")
    return text


def _to_moment(value: Any) -> Any:
    """Return the time in whole seconds, rounded down, and the second before a leap second for that."""
    if not isinstance(value, str):
        return value
    match = _MOMENT.fullmatch(value)
    try:
        if match is not None:
            minute, second, offset = match.groups()
            return datetime.fromisoformat(f"{minute}{'59' if second == '60' else second}{offset}")
    except ValueError:
        pass
    raise ValueError("must be a time in ISO 8601 with its offset, as in 2026-11-26T23:24:09Z")


_NonEmpty = StringConstraints(min_length=1)
_Short = StringConstraints(min_length=1, max_length=64)
PlaceId = Annotated[str, AfterValidator(_to_place_id)]
TokenText = Annotated[str, _NonEmpty, AfterValidator(_check_token)]
Ksid = Annotated[str, BeforeValidator(_to_text), AfterValidator(_check_ksid)]
AccountId = Annotated[str, AfterValidator(_check_account_id)]
PathId = Annotated[str, AfterValidator(_check_path_id)]
ApplicationId = Annotated[str, AfterValidator(_check_application_id)]
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=MAX_IDENTIFIER)]


class RequestEntry(BaseModel):
    """One entry of a request; unknown members are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class Report(RequestEntry):
    """What a provider answered to a message for one address, sent at `at`; RFC 3339."""

    provider: Annotated[str, _Short] | None = None
    code: Annotated[str, BeforeValidator(_to_text), _Short]
    at: Annotated[datetime, BeforeValidator(_to_moment)] | None = None


class TokenReport(Report):
    """A report on a place's token."""

    place_id: PlaceId
    device_token: TokenText


class SubscriberReport(Report):
    """A report on an engagement subscriber's sid."""

    ksid: Ksid
    sid: TokenText


class RegistrationReport(Report):
    """A report on one registration id of a Kazoo device."""

    account_id: AccountId
    device_id: PathId
    registration_id: Annotated[str, _NonEmpty]


class PlaceAddress(RequestEntry):
    """All tokens of a place."""

    place_id: PlaceId


class KsidAddress(RequestEntry):
    """One subscriber."""

    ksid: Ksid


class UserAddress(RequestEntry):
    """All subscribers of one user of an application."""

    application: ApplicationId
    ufid: Identifier


class ApplicationDeviceAddress(RequestEntry):
    """The subscriber of one device of an application."""

    application: ApplicationId
    device_id: Identifier


class DeviceAddress(RequestEntry):
    """All registration ids of a Kazoo device."""

    account_id: AccountId
    device_id: PathId


AnyReport = TokenReport | SubscriberReport | RegistrationReport
Address = PlaceAddress | KsidAddress | UserAddress | ApplicationDeviceAddress | DeviceAddress
# The members that tell the kinds of entries apart: an entry has all of one kind's. One that is null counts as absent,
# since many libraries write absent members so.
_REPORTS: Mapping[tuple[str, ...], type[AnyReport]] = {
    ("place_id",): TokenReport,
    ("ksid",): SubscriberReport,
    ("account_id",): RegistrationReport,
}
_ADDRESSES: Mapping[tuple[str, ...], type[Address]] = {
    ("place_id",): PlaceAddress,
    ("ksid",): KsidAddress,
    ("application", "ufid"): UserAddress,
    ("application", "device_id"): ApplicationDeviceAddress,
    ("account_id", "device_id"): DeviceAddress,
}


def read_report(data: Any) -> AnyReport:
    """Return the entry of a feedback request; EntryError if it is malformed."""
    report: AnyReport = _read(data, _REPORTS)
    return report


def read_address(data: Any) -> Address:
    """Return the entry of a lookup request; EntryError if it is malformed."""
    address: Address = _read(data, _ADDRESSES)
    return address


def judge(report: Report, now: datetime) -> tuple[Meaning, str]:
    """Return what the report says about the token, and a reason to keep it or when the message was sent.

    The time is in whole seconds, and never later than `now`. EntryError if the report lacks what its code requires, or
    is from the future.
    """
    if report.provider is None:
        raise EntryError("provider is missing")
    if report.provider not in CODES:
        return "kept", "unknown provider"
    meaning = CODES[report.provider].get(report.code)
    if meaning is None:
        return "kept", "unknown code"
    if meaning == "kept":
        return "kept", "not a verdict on the token"
    if report.at is None:
        raise EntryError("at is missing")
    at = report.at.astimezone(UTC)
    if at > now + MAX_CLOCK_SKEW:
        raise EntryError("at is in the future")
    return "dead", f"{min(at, now):%Y-%m-%dT%H:%M:%SZ}"


def installation_of(token: str) -> str | None:
    """Return the Firebase installation id with which an FCM registration token begins, None for any other text."""
    match = _FCM_TOKEN.fullmatch(token)
    return None if match is None else match[1]


def _read(data: Any, kinds: Mapping[tuple[str, ...], type[Any]]) -> Any:
    if not isinstance(data, dict):
        raise EntryError("not an object")
    matching = [kind for members, kind in kinds.items() if all(data.get(name) is not None for name in members)]
    if len(matching) != 1:
        choices = ", ".join(" and ".join(members) for members in kinds)
        raise EntryError(f"an entry has exactly one of: {choices}")
    try:
        return matching[0].model_validate(data)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = str(detail["loc"][0])
        if detail["type"] == "missing":
            raise EntryError(f"{name} is missing") from error
        problem = detail["msg"].removeprefix("Value error, ") if detail["type"] == "value_error" else "is malformed"
        raise EntryError(f"{name} {problem}") from error
