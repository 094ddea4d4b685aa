"""The engagement servers' subscribe and unsubscribe requests (docs/spec/engagement.md, docs/spec/engagement-v1.md)."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from pushreg.errors import PushregError
from pushreg.models.text import is_blank, is_placeholder, trim
from pushreg.schema import MAX_IDENTIFIER, MAX_TOKEN_BYTES

OS_TYPES = frozenset(
    {
        "iphone",
        "ipad",
        "ipod",
        "iwatch",
        "androidgcm",
        "androidjpush",
        "android",
        "blackberry",
        "windows",
        "windows8",
        "webfcm",
    }
)

_SERVICE = "subscriptionService"


class FormError(PushregError):
    """The request is well-formed but not a subscribe or unsubscribe request; `fields` names the members at fault."""

    def __init__(self, reason: str, fields: frozenset[str] = frozenset()) -> None:
        super().__init__(reason)
        self.fields = fields


def to_text(value: Any) -> Any:
    """Return an integer as its digits, a text trimmed, anything else as it is."""
    # The vendor's documents type several of these members as long; an int keeps all its digits.
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return trim(value) if isinstance(value, str) else value


def _drop_blank(value: Any) -> Any:
    return None if isinstance(value, str) and is_blank(value) else value


def _drop_placeholder(value: Any) -> Any:
    return None if isinstance(value, str) and is_placeholder(value) else value


def _drop_other_types(value: Any) -> Any:
    return value if isinstance(value, (str, int)) and not isinstance(value, bool) else None


def _check_placeholder(text: str) -> str:
    if is_placeholder(text):
        raise ValueError("stands for no value")
    return text


def _check_sid(text: str) -> str:
    if len(text.encode()) > MAX_TOKEN_BYTES:
        raise ValueError(f"longer than {MAX_TOKEN_BYTES} bytes")
    return text


def _to_os_type(text: str) -> str:
    lowered = text.lower()
    if lowered not in OS_TYPES:
        raise ValueError("unknown osType")
    return lowered


def _to_flag(value: Any) -> Any:
    # Samples print the flag as text.
    return {"true": True, "false": False, "": None}.get(trim(value).lower(), value) if isinstance(value, str) else value


# What is left of a blank text when to_text has trimmed it is empty.
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=MAX_IDENTIFIER), BeforeValidator(to_text)]
Optional = Annotated[Identifier | None, BeforeValidator(_drop_blank)]
Reference = Annotated[Optional, BeforeValidator(_drop_placeholder)]
AuthToken = Annotated[str | None, BeforeValidator(_drop_blank), BeforeValidator(to_text)]
Flag = Annotated[bool | None, BeforeValidator(_to_flag)]


Model = TypeVar("Model", bound=BaseModel)


class Form(BaseModel):
    """A request's members in any letter case; those it does not know are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _match_names(cls, data: Any) -> Any:
        """Give the known members their names, which clients and documents write in several letter cases."""
        return match_names(data, cls.model_fields.keys()) if isinstance(data, Mapping) else data


class Subscribe(Form):
    """A request to subscribe one device.

    Its osType is lower-cased, and `android` with isGCM or isJpush is `androidgcm` or `androidjpush`.
    """

    appId: Identifier
    deviceId: Annotated[Identifier, AfterValidator(_check_placeholder)]
    sid: Annotated[str, AfterValidator(_check_sid), AfterValidator(_check_placeholder), BeforeValidator(to_text)]
    osType: Annotated[str, AfterValidator(_to_os_type), BeforeValidator(to_text)]
    ufid: Optional = None
    deviceName: Optional = None
    # Only strict applications look at it, and no client of the original servers sends it.
    ksid: Annotated[str | None, BeforeValidator(to_text), BeforeValidator(_drop_other_types)] = None
    isGCM: Flag = None
    isJpush: Flag = None
    authToken: AuthToken = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _normalise(self) -> Subscribe:
        if self.osType == "android" and (self.isGCM or self.isJpush):
            self.osType = "androidgcm" if self.isGCM else "androidjpush"
        if self.osType == "blackberry":
            # The caller is to omit the first two characters; those who forget mean the same device
            # (docs/spec/engagement.md#2-legacy-request-vpnskpnssubscription).
            self.deviceId = strip_hex_prefix(self.deviceId)
        return self

    @property
    def keeps_ufid(self) -> bool:
        """Whether the request says nothing about the ufid; a blank or null one clears it."""
        return "ufid" not in self.model_fields_set


class Unsubscribe(Form):
    """The end of a subscription, by KSID, or by application and device."""

    ksid: Reference = None
    appId: Optional = None
    deviceId: Reference = None
    authToken: AuthToken = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _check_reference(self) -> Unsubscribe:
        if self.ksid is None and (self.appId is None or self.deviceId is None):
            raise ValueError("neither ksid nor appId and deviceId")
        return self


def strip_hex_prefix(device_id: str) -> str:
    """Return the id without a leading `0x`, unless nothing else is in it."""
    return device_id[2:] if device_id[:2].lower() == "0x" and len(device_id) > 2 else device_id


def match_names(data: Mapping[Any, Any], names: Set[str]) -> dict[str, Any]:
    """Return the members of these names, whatever their letter case; the exact name wins over other spellings."""
    if data.keys() <= names:
        return dict(data)
    exact = {name.lower(): name for name in names}
    found: dict[str, Any] = {}
    for given, value in data.items():
        name = exact.get(str(given).lower())
        if name is not None and (given == name or name not in data):
            found.setdefault(name, value)
    return found


def parse(
    data: Any, *, blank_is_absent: bool = False, unsubscribe_model: type[Unsubscribe] = Unsubscribe
) -> Subscribe | Unsubscribe:
    """Return the request inside `{subscriptionService: {subscribe | unsubscribe: {…}}}`; FormError if there is not one.

    An array of one is taken for its element. Blank members count as absent if told so: XML cannot leave out what its
    template prints.
    """
    service = take_only(match_names(data, {_SERVICE}).get(_SERVICE)) if isinstance(data, dict) else None
    forms = match_names(service, {"subscribe", "unsubscribe"}) if isinstance(service, dict) else {}
    if len(forms) != 1:
        raise FormError("no subscribe or unsubscribe")
    ((verb, body),) = forms.items()
    body = take_only(body)
    if blank_is_absent and isinstance(body, Mapping):
        body = {name: value for name, value in body.items() if not (isinstance(value, str) and is_blank(value))}
    model: type[Subscribe] | type[Unsubscribe] = Subscribe if verb == "subscribe" else unsubscribe_model
    return validate(model, body)


def validate(model: type[Model], data: Any) -> Model:
    """Return the data as an instance of the model; FormError names the members at fault."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        fields = frozenset(str(detail["loc"][0]) for detail in error.errors(include_url=False) if detail["loc"])
        raise FormError("a field is missing or malformed", fields) from error


def take_only(value: Any) -> Any:
    """Return the element of an array of one, anything else as it is."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value
