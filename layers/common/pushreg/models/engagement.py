"""The engagement servers' legacy subscription requests (seeds 001 and 003, spec/engagement.md section 2)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from pushreg.errors import PushregError
from pushreg.models.text import VISIBLE, is_blank
from pushreg.schema import MAX_IDENTIFIER, MAX_TOKEN_BYTES

OS_TYPES = frozenset({"iphone", "ipad", "androidgcm", "android", "blackberry", "windows", "windows8", "webfcm"})


class FormError(PushregError):
    """The request is well-formed but not a subscribe or unsubscribe request."""


def _to_os_type(text: str) -> str:
    lowered = text.lower()
    if lowered not in OS_TYPES:
        raise ValueError("unknown osType")
    return lowered


def _check_sid(text: str) -> str:
    if len(text.encode()) > MAX_TOKEN_BYTES:
        raise ValueError(f"longer than {MAX_TOKEN_BYTES} bytes")
    return text


def _drop_blank(value: Any) -> Any:
    # XML cannot leave out what its template prints: an empty optional element says nothing.
    return None if isinstance(value, str) and is_blank(value) else value


def _to_ksid(value: Any) -> Any:
    # Clients paste the number unquoted (spec/engagement.md section 6); an int keeps all its digits.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Identifier = Annotated[str, StringConstraints(max_length=MAX_IDENTIFIER, pattern=VISIBLE)]
Optional = Annotated[Identifier | None, BeforeValidator(_drop_blank)]
# The parameter table says appID, every sample appId (C1).
APP_ID = AliasChoices("appId", "appID")
Flag = Literal["true", "false"] | bool


class Subscribe(BaseModel):
    """One device's wish to be pushed to; its osType is lower-cased, `android` with isGCM is `androidgcm`."""

    model_config = ConfigDict(strict=True, extra="ignore")

    appId: Identifier = Field(validation_alias=APP_ID)
    deviceId: Identifier
    sid: Annotated[str, StringConstraints(pattern=VISIBLE), AfterValidator(_check_sid)]
    osType: Annotated[str, AfterValidator(_to_os_type)]
    ufid: Optional = None
    isGCM: Annotated[Flag | None, BeforeValidator(_drop_blank)] = None
    authToken: Annotated[str | None, BeforeValidator(_drop_blank)] = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _normalise(self) -> Subscribe:
        if self.osType == "android" and self.isGCM in (True, "true"):
            self.osType = "androidgcm"
        if self.osType == "blackberry":
            # Seed 001: the caller is to omit the first two characters; those who forget mean the same device.
            self.deviceId = strip_hex_prefix(self.deviceId)
        return self


class Unsubscribe(BaseModel):
    """The end of a subscription, by KSID, or by application and device (C3)."""

    model_config = ConfigDict(strict=True, extra="ignore")

    ksid: Annotated[Optional, BeforeValidator(_to_ksid)] = None
    appId: Optional = Field(default=None, validation_alias=APP_ID)
    deviceId: Optional = None
    authToken: Annotated[str | None, BeforeValidator(_drop_blank)] = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _check_reference(self) -> Unsubscribe:
        if self.ksid is None and (self.appId is None or self.deviceId is None):
            raise ValueError("neither ksid nor appId and deviceId")
        return self


def strip_hex_prefix(device_id: str) -> str:
    """Return the id without a leading `0x`, unless nothing else is in it."""
    return device_id[2:] if device_id[:2].lower() == "0x" and len(device_id) > 2 else device_id


def parse(data: Any) -> Subscribe | Unsubscribe:
    """Return the request inside `{subscriptionService: {subscribe | unsubscribe: {…}}}`; FormError if there is not one.

    An array of one is taken for its element (C10).
    """
    match data:
        case {"subscriptionService": {"subscribe": body, **others}} if "unsubscribe" not in others:
            model: type[Subscribe] | type[Unsubscribe] = Subscribe
        case {"subscriptionService": {"unsubscribe": body, **others}} if "subscribe" not in others:
            model = Unsubscribe
        case _:
            raise FormError("no subscribe or unsubscribe")
    if isinstance(body, list) and len(body) == 1:
        (body,) = body
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise FormError("a field is missing or malformed") from error
