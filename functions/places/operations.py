"""What PUT and DELETE mean for a place's tokens (docs/spec/places.md#4-storage-and-behaviour)."""

from __future__ import annotations

from pushreg.errors import PushregError
from pushreg.stores.places import Places


class UnknownTokenError(PushregError):
    """The place has no such token."""


def register(places: Places, place_id: str, token: str) -> str:
    """Register the token for the place, or refresh its registration, and return the outcome's name."""
    if places.refresh(place_id, token):
        return "refreshed"
    places.create(place_id, token)
    return "created"


def unregister(places: Places, place_id: str, token: str) -> str:
    """Remove the token and return the outcome's name; UnknownTokenError if the place has no such token."""
    if not places.remove(place_id, token):
        raise UnknownTokenError
    return "deleted"
