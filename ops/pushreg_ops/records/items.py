"""The stored items by kind, parsed strictly: anything the functions would never write is refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from pushreg import schema
from pushreg.codecs import json
from pushreg.errors import MalformedError, PushregError
from pushreg.models.directory import CredentialFamily, Grant, Scope, TokenFamily
from pushreg.models.engagement import OS_TYPES

Text = Annotated[str, StringConstraints(min_length=1)]
Digest = Annotated[str, StringConstraints(pattern=f"^{schema.DIGEST}$")]


def _check_moment(text: str) -> str:
    datetime.fromisoformat(text)
    return text


Moment = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"),
    AfterValidator(_check_moment),
]
# The last second of the year 9999, after which ISO 8601 has no form for a time.
MAX_EPOCH = 253_402_300_799
Epoch = Annotated[int, Field(le=MAX_EPOCH)]
Ksid = Annotated[str, StringConstraints(pattern=f"^{schema.KSID}$")]
OsType = Annotated[str, StringConstraints(pattern=rf"^({'|'.join(sorted(OS_TYPES))})$")]


class UnreadableError(PushregError):
    """The item does not match any known kind; `detail` names the faulty attributes, not their values."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class StoredItem(BaseModel):
    """One item; unknown attributes are ignored, since adjacent versions may share the tables."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    @classmethod
    def from_item(cls, item: schema.Item) -> Self:
        """Return the parsed item; UnreadableError if it does not fit."""
        try:
            return cls.model_validate(item)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False, include_input=False)
            places = sorted({".".join(map(str, detail["loc"])) or "record" for detail in details})
            raise UnreadableError(f"bad or missing: {', '.join(places)}") from error


class ExpiringItem(StoredItem):
    """An item that DynamoDB removes some time after `expires_at`."""

    expires_at: Epoch | None = None

    def is_alive(self, epoch: int) -> bool:
        """Whether the item has not expired."""
        return schema.is_alive(self.expires_at, epoch)


class StoredDevice(ExpiringItem):
    """A device's subscription."""

    account_id: Text
    record: Text
    device_id: Text
    app_name: Text
    mobile_device_id: Text
    document: Text
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    writes: Annotated[int, Field(ge=1)]
    created_at: Moment
    updated_at: Moment
    # Absent in items of version 1.0.0.
    refreshed_at: Moment | None = None

    @field_validator("document")
    @classmethod
    def _check_document(cls, document: str) -> str:
        """Check what commands read of it; whether it is a subscription, the invariants say."""
        try:
            content = json.decode(document.encode())
        except MalformedError as error:
            raise ValueError(error.reason) from error
        registrations = content.get("notification_registration_ids", {}) if isinstance(content, dict) else None
        if not isinstance(registrations, dict) or not all(map(_has_preferences, registrations.values())):
            raise ValueError("no object with registrations")
        if not isinstance(content.get("platform", ""), str):
            raise ValueError("the platform is not a string")
        return document

    @model_validator(mode="after")
    def _check_record(self) -> Self:
        if self.record != schema.device_key(self.account_id, self.device_id)["record"]:
            raise ValueError("record does not match the id")
        return self


class MobileClaim(ExpiringItem):
    """The claim of a mobile device."""

    kind: ClassVar[str] = "mobile device"

    account_id: Text
    record: Annotated[str, StringConstraints(pattern=schema.MOBILE_CLAIM_RECORD)]
    device_id: Text


class DeviceClaim(ExpiringItem):
    """The claim on an application's device."""

    kind: ClassVar[str] = "device"

    record: Annotated[str, StringConstraints(pattern=schema.DEVICE_CLAIM_RECORD)]
    ksid: Ksid
    other_claim_digest: Digest = Field(alias=schema.OTHER_CLAIM_DIGEST)
    ufid: str | None = None
    osType: OsType
    active: bool
    deviceName: str | None = None
    cloud: bool | None = None


class SidClaim(ExpiringItem):
    """The claim on an application's sid."""

    kind: ClassVar[str] = "sid"

    record: Annotated[str, StringConstraints(pattern=schema.SID_CLAIM_RECORD)]
    ksid: Ksid
    other_claim_digest: Digest = Field(alias=schema.OTHER_CLAIM_DIGEST)
    ufid: str | None = None


class StoredSubscriber(ExpiringItem):
    """A subscriber, which two claims lead to; fewer if it is inactive and its sid or deviceId was taken."""

    record: Text
    ksid: Ksid
    appId: Text
    deviceId: str
    sid: str
    osType: OsType
    ufid: str | None = None
    active: bool
    cloud: bool | None = None
    deviceName: str | None = None
    userAgent: str | None = None
    ipAddress: str | None = None
    # The sort key of the user index; 1.0.0 wrote none.
    ufid_ksid: str | None = None
    created_at: Moment
    updated_at: Moment

    @model_validator(mode="after")
    def _check_record(self) -> Self:
        if self.record != schema.ksid_key(self.ksid)["record"]:
            raise ValueError("record does not match the id")
        return self

    @model_validator(mode="after")
    def _check_taken(self) -> Self:
        if self.active and schema.TAKEN in (self.deviceId, self.sid):
            raise ValueError("an active subscriber has a deviceId and a sid")
        return self

    @property
    def user_index_sort(self) -> str:
        """The sort key that the user index should have for it."""
        return schema.user_index_sort(self.ufid, self.ksid)

    def claims(self) -> tuple[DeviceClaim | SidClaim, ...]:
        """Return the claims that must exist for it."""
        items = schema.subscriber_claims(self.model_dump())
        return tuple(DeviceClaim.from_item(item) if "active" in item else SidClaim.from_item(item) for item in items)


class StoredCredential(StoredItem):
    """A credential, identified by the digest of its secret."""

    record: Annotated[str, StringConstraints(pattern=schema.CREDENTIAL_RECORD)]
    key_id: Text
    family: CredentialFamily
    scope: Scope
    account_id: Text | None = None
    places: frozenset[Text] | None = None
    applications: frozenset[Text] | None = None
    expires_at: Epoch | None = None
    key_name: str | None = None
    issued_by: str | None = None
    created_at: Moment

    @model_validator(mode="after")
    def _check_reach(self) -> Self:
        if self.family == "kazoo" and self.account_id is None:
            raise ValueError("a kazoo key has an account_id")
        if self.account_id is not None and self.family not in ("kazoo", "senders"):
            raise ValueError("account_id is for kazoo's and senders' keys")
        if (self.scope == "sender") is not (self.family == "senders"):
            raise ValueError("the scope sender is the senders' only one, and theirs alone")
        if self.places and self.family not in ("places", "senders"):
            raise ValueError("places are for keys of places and of senders")
        if self.applications and self.family not in ("engagement", "senders"):
            raise ValueError("applications are for keys of engagement and of senders")
        return self


class StoredApplication(StoredItem):
    """An engagement application."""

    record: Annotated[str, StringConstraints(pattern=schema.APPLICATION_RECORD)]
    auth_token_digest: Digest | None = None
    duplicate_as_update: bool | None = None
    strict: bool | None = None
    created_at: Moment


class StoredAudit(StoredItem):
    """An audit entry: who changed the directory."""

    record: Annotated[str, StringConstraints(pattern=schema.AUDIT_RECORD)]
    created_at: Moment
    who: Text
    action: Text
    kind: Text
    entry: Text


class StoredPlace(StoredItem):
    """A place."""

    record: Annotated[str, StringConstraints(pattern=schema.PLACE_RECORD)]
    created_at: Moment


class StoredAccount(StoredItem):
    """A Kazoo account."""

    record: Annotated[str, StringConstraints(pattern=schema.ACCOUNT_RECORD)]
    created_at: Moment


class StoredIssuer(StoredItem):
    """One public key of a token issuer."""

    record: Annotated[str, StringConstraints(pattern=schema.ISSUER_RECORD)]
    name: Text
    family: TokenFamily
    algorithm: Text
    public_key: Text
    issuer: Text | None = None
    audience: Text | None = None
    grants: frozenset[Text] | None = None
    source: Text | None = None
    created_at: Moment

    @field_validator("grants")
    @classmethod
    def _check_grants(cls, grants: frozenset[str] | None) -> frozenset[str] | None:
        for text in grants or ():
            Grant.from_text(text)
        return grants


class StoredToken(ExpiringItem):
    """A token registered for a place."""

    place_id: Annotated[str, StringConstraints(pattern=f"^{schema.UUID}$")]
    token_digest: Digest
    device_token: Text
    created_at: Moment
    updated_at: Moment


def _has_preferences(registration: object) -> bool:
    preferences = registration.get("notification_preferences") if isinstance(registration, dict) else None
    return isinstance(preferences, list) and all(isinstance(each, str) for each in preferences)


def read(item: schema.Item, kinds: Mapping[str, type[StoredItem]]) -> StoredItem:
    """Return the item parsed as the kind that its record names; UnreadableError if it fits none."""
    kind, _ = schema.parse_record(str(item.get("record", "")))
    if kind not in kinds:
        raise UnreadableError("record is of no known kind")
    return kinds[kind].from_item(item)
