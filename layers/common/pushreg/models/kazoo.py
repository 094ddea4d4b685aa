"""Kazoo's push notification subscription: its schema, the rules beyond it, and the revision of a stored one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from hashlib import blake2b
from itertools import islice
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from pushreg.errors import PushregError
from pushreg.models.text import is_placeholder

Text = Annotated[str, StringConstraints(min_length=1)]
Preference = Literal["chat", "incoming_call", "new_unowned_voicemail", "new_voicemail"]
# Equal content has the same text, whatever the order of its members.
_CANONICAL = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)
# An answer must not be much larger than its request: of the problems so many are named, each by so much of its path and
# of the value at fault (docs/compatibility.md#kazoo).
MAX_PROBLEMS = 50
MAX_ECHO = 200
JSON_TYPES = {"string_type": "string", "list_type": "array", "dict_type": "object", "model_type": "object"}


def _cut_list(value: Any) -> Any:
    return value[:MAX_PROBLEMS] if isinstance(value, list) else value


class Registration(BaseModel):
    """How one registration token wants to be notified (docs/spec/kazoo.md#3-body-schema)."""

    model_config = ConfigDict(strict=True, extra="allow")

    # Each error repeats the path, which holds the registration id. A longer list has a duplicate and is refused for it.
    notification_preferences: Annotated[list[Preference], BeforeValidator(_cut_list)]
    notification_type: Literal["apns", "fcm"]


class Schema(BaseModel):
    """The `data` of PUT and POST; properties beyond these are kept as they are (docs/spec/kazoo.md#3-body-schema)."""

    model_config = ConfigDict(strict=True, extra="allow")

    app_name: Text
    mobile_device_id: Text
    notification_registration_ids: dict[Text, Registration]
    platform: Literal["android", "ios"]
    sip_proxy_server: Text


class InvalidError(PushregError):
    """The data violates the schema (`validation error`) or another rule (`invalid data`); `problems` lists how."""

    def __init__(self, message: str, problems: dict[str, dict[str, Any]]) -> None:
        super().__init__(message)
        self.message = message
        self.problems = problems


class Content(NamedTuple):
    """The part of a subscription that the caller chooses."""

    app_name: str
    mobile_device_id: str
    document: dict[str, Any]
    digest: str

    @classmethod
    def from_data(cls, data: Mapping[str, Any], app_name: str) -> Content:
        """Return the content of an envelope's `data` under the app of the path; InvalidError if it is invalid.

        Private members, `_…` and `pvt_…`, are dropped.
        """
        document = {name: value for name, value in data.items() if not name.startswith(("_", "pvt_"))}
        document["app_name"] = app_name
        try:
            schema = Schema.model_validate(document)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False)[:MAX_PROBLEMS]
            raise InvalidError("validation error", dict(map(_problem, details))) from error
        _check_preferences(schema)
        return cls(app_name, schema.mobile_device_id, document, _digest(document))

    def without(self, registration_id: str) -> Content | None:
        """Return the content without one of its registration ids, None if it has no other; KeyError if it lacks it."""
        kept = dict(self.document["notification_registration_ids"])
        del kept[registration_id]
        if not kept:
            return None
        document = {**self.document, "notification_registration_ids": kept}
        return Content(self.app_name, self.mobile_device_id, document, _digest(document))

    def check_identifiers(self, device_id: str) -> None:
        """Raise InvalidError if the device's id, the mobile device's or a registration token stands for none."""
        named = {"device_id": device_id, "mobile_device_id": self.mobile_device_id}
        named |= {
            f"notification_registration_ids.{each}": each for each in self.document["notification_registration_ids"]
        }
        problems = {
            shorten(path): {"invalid": {"message": "Value stands for no identifier", "value": shorten(value)}}
            for path, value in named.items()
            if is_placeholder(value)
        }
        if problems:
            raise InvalidError("validation error", dict(islice(problems.items(), MAX_PROBLEMS)))


class Subscription(NamedTuple):
    """A stored subscription; `writes` counts the changes since its creation.

    `refreshed_at` (ISO 8601) is when it was last sent, changed or not; `expires_at` is in seconds, None for never.
    """

    device_id: str
    content: Content
    writes: int
    created_at: str
    refreshed_at: str
    expires_at: int | None

    @property
    def revision(self) -> str:
        """CouchDB's form, `N-<32 hex>`: the count of writes and the digest of the content."""
        return f"{self.writes}-{self.content.digest}"


class Precondition(NamedTuple):
    """If-Match and If-None-Match (RFC 9110 section 13.1); `wanted` None accepts any revision."""

    wanted: frozenset[str] | None = None
    unwanted: frozenset[str] = frozenset()

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> Precondition:
        """Read both headers, names in lower case."""
        wanted = headers.get("if-match")
        # If-Match compares strongly, If-None-Match weakly (RFC 9110): a proxy that compresses weakens the tag.
        unwanted = headers.get("if-none-match", "").replace("W/", "")
        return cls(None if wanted is None else _revisions(wanted), _revisions(unwanted))

    def holds(self, revision: str) -> bool:
        """Whether a subscription of this revision may be changed."""
        return self.matches(revision) and not self.excludes(revision)

    def matches(self, revision: str) -> bool:
        """Whether If-Match, if given, names this revision."""
        return self.wanted is None or "*" in self.wanted or revision in self.wanted

    def excludes(self, revision: str) -> bool:
        """Whether If-None-Match names this revision."""
        return "*" in self.unwanted or revision in self.unwanted


def _digest(document: Mapping[str, Any]) -> str:
    return blake2b(_CANONICAL.encode(document).encode(), digest_size=16).hexdigest()


def _revisions(header: str) -> frozenset[str]:
    # Weak tags never match.
    tags = (tag.strip() for tag in header.split(","))
    return frozenset(tag.strip('"') for tag in tags if tag == "*" or tag.startswith('"'))


def shorten(value: Any) -> Any:
    """Return the value as an answer echoes it: unchanged up to MAX_ECHO characters of JSON, else the first of them."""
    if isinstance(value, str):
        return value[:MAX_ECHO]
    text = _CANONICAL.encode(value)
    return value if len(text) <= MAX_ECHO else text[:MAX_ECHO]


def _problem(detail: ErrorDetails) -> tuple[str, dict[str, Any]]:
    """Return the flattened path and Kazoo's words for one schema violation (docs/spec/kazoo.md#2-error-envelope)."""
    location = detail["loc"]
    if location[-1] == "[key]":
        location = location[:-2]
    path = ".".join(str(part)[:MAX_ECHO].replace(".", "%2E") for part in location)[:MAX_ECHO]
    kind = detail["type"]
    if kind == "missing":
        name = str(location[-1])
        return path, {"required": {"message": "Field is required but missing", "value": name}}
    value = shorten(detail["input"])
    if kind == "string_too_short":
        text = "String must have at least 1 characters"
        return path, {"minLength": {"message": text, "target": 1, "value": value}}
    if kind == "literal_error" and isinstance(detail["input"], str):
        text = "Value not found in enumerated list of values"
        return path, {"enum": {"message": text, "target": _choices(location), "value": value}}
    target = JSON_TYPES.get(kind, "string")
    text = f"Value did not match type(s): {target}"
    return path, {"type": {"message": text, "target": target, "value": value}}


def _choices(location: tuple[int | str, ...]) -> list[str]:
    if location[0] == "platform":
        return ["android", "ios"]
    return ["apns", "fcm"] if location[-1] == "notification_type" else list(get_args(Preference))


def _check_preferences(schema: Schema) -> None:
    registrations = schema.notification_registration_ids.values()
    counts = Counter(name for each in registrations for name in each.notification_preferences)
    duplicates = sorted(name for name, count in counts.items() if count > 1)
    if duplicates:
        text = (
            "Each notification preference can only appear once "
            "across all notification registration ids in the subscription"
        )
        raise _invalid_preferences(text, duplicates=duplicates)
    if schema.platform == "ios":
        for each in registrations:
            if "incoming_call" in each.notification_preferences and each.notification_type != "apns":
                text = (
                    'The incoming_call notification preference is only supported under notification_type "apns" on iOS'
                )
                raise _invalid_preferences(text, notification_type=each.notification_type)


def _invalid_preferences(message: str, **evidence: Any) -> InvalidError:
    problem = {"invalid": {"message": message, **evidence}}
    return InvalidError("invalid data", {"notification_preferences": problem})
