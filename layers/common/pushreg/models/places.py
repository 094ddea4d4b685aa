"""The Device Token Service's shapes (docs/spec/places.md#2-request)."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from pushreg.models.text import is_placeholder
from pushreg.schema import MAX_TOKEN_BYTES


def _check(token: str) -> str:
    if is_placeholder(token):
        raise ValueError("stands for no token")
    if len(token.encode()) > MAX_TOKEN_BYTES:
        raise ValueError(f"longer than {MAX_TOKEN_BYTES} bytes")
    return token


class TokenBody(BaseModel):
    """The body of PUT and DELETE; unknown members are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    device_token: Annotated[str, AfterValidator(_check)]
