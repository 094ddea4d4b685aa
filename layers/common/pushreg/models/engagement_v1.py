"""Requests of the modern engagement API, beside subscribe (docs/spec/engagement-v1.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from pushreg.models.engagement import AuthToken, Flag, Form, Optional, Unsubscribe, to_text
from pushreg.models.text import is_blank, trim
from pushreg.schema import is_ksid

DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE = 20, 1000
# A transaction holds 100 writes; a subscriber and its claims take three.
MAX_DELETED = 33
_POSITION = "[0-9]{1,9}"
_DECIMAL = r"[+-]?[0-9]{1,3}(\.[0-9]{0,20})?"


def _check_ksid(text: str) -> str:
    if not is_ksid(text):
        raise ValueError("no KSID")
    return text


def _to_degrees(value: Any) -> Any:
    # Apps hand coordinates over as they have them: numbers or texts (docs/spec/engagement-v1.md#8-location).
    return float(value) if isinstance(value, str) and re.fullmatch(_DECIMAL, trim(value)) else value


def _to_number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and re.fullmatch(_POSITION, value) else value


Ksid = Annotated[str, AfterValidator(_check_ksid), BeforeValidator(to_text)]


class UnsubscribeByKsid(Unsubscribe):
    """The end of a subscription; the modern API ignores an application or a device beside the KSID."""

    ksid: Ksid
    appId: Any = None
    deviceId: Any = None


class Location(Form):
    """Where a subscriber is, in degrees."""

    ksid: Ksid
    latitude: Annotated[float, Field(ge=-90, le=90), BeforeValidator(_to_degrees)]
    longitude: Annotated[float, Field(ge=-180, le=180), BeforeValidator(_to_degrees)]
    authToken: AuthToken = Field(default=None, repr=False)


class KsidList(Form):
    """The subscribers to delete."""

    ksids: list[Ksid]


class ListQuery(Form):
    """Which subscribers to list, from which position or cursor on, and how many at most; blank members are absent."""

    appId: Optional = None
    ufid: Optional = None
    deviceId: Optional = None
    start: Annotated[int | str, BeforeValidator(_to_number)] = 0
    pageSize: Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE), BeforeValidator(_to_number)] = DEFAULT_PAGE_SIZE
    osType: Annotated[str | None, StringConstraints(to_lower=True)] = None
    subscriptionStatus: Flag = None
    cloudStatus: Flag = None

    @model_validator(mode="before")
    @classmethod
    def _drop_blank(cls, data: Mapping[str, str]) -> dict[str, str]:
        return {name: trim(value) for name, value in data.items() if not is_blank(value)}
