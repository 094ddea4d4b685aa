"""What many callers do to one registration at once, for the test of the bounds and for the bench of the times."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.calls import Reply
from tests.support.scenarios import Api

Act = Callable[[Api, int, int], Reply]


def subscribe(api: Api, caller: int, turn: int) -> Reply:
    """Give the one device another sid."""
    return api.engagement.subscribe("hot", f"sid-{caller}-{turn}")


def take_over(api: Api, caller: int, turn: int) -> Reply:
    """Move the one mobile device to another device."""
    return api.kazoo.post(f"desk-{caller}", "hot", f"192.0.2.{turn}")


def register(api: Api, caller: int, turn: int) -> Reply:
    """Register or remove the one token."""
    return api.places.put("hot") if (caller + turn) % 2 else api.places.delete("hot")
