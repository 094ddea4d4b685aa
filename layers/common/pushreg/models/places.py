"""The Device Token Service's shapes (spec/places.md sections 2 and 3)."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from pushreg.models.text import VISIBLE

MAX_TOKEN_BYTES = 4096
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)


def to_place_id(text: str) -> str | None:
    """Return the UUID in lower case, or None if it is none."""
    lowered = text.lower()
    return lowered if _UUID.fullmatch(lowered) else None


def _check_bytes(token: str) -> str:
    if len(token.encode()) > MAX_TOKEN_BYTES:
        raise ValueError(f"longer than {MAX_TOKEN_BYTES} bytes")
    return token


class Registration(BaseModel):
    """The body of both verbs; unknown members are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    device_token: Annotated[str, StringConstraints(pattern=VISIBLE), AfterValidator(_check_bytes)]
