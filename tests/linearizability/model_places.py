"""What an atomic Device Token Service would answer: a set of tokens for each place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple


class Row(NamedTuple):
    """A token that a place has since the day of its last PUT, until the day it expires."""

    place: str
    token: str
    until: float = math.inf
    since: int = 0


class Call(NamedTuple):
    """One request under the key, on the day; REPORT and OK are about a message sent at the beginning of a day.

    REFRESH is the part of a PUT that does nothing unless there is a row.
    """

    verb: str
    key: str
    place: str
    token: str
    day: int = 0
    sent: int = 0


class Answer(NamedTuple):
    """The parts of an answer that the state decides."""

    status: int
    word: str
    pair: tuple[str, str] | None = None
    tokens: frozenset[str] = frozenset()


State = frozenset[Row]

STORED = "Device subscription created/updated successfully"
DELETED = "Device subscription deleted successfully"
FORBIDDEN = Answer(403, "The API key has no access to this place")
NO_PLACE = Answer(404, "Place not found")
NO_TOKEN = Answer(404, "Device subscription not found")


class Model:
    """The places that exist, the keys with the places that they open, and for how many days a token is kept."""

    def __init__(self, places: frozenset[str], keys: Mapping[str, frozenset[str]], lifetime: float = math.inf) -> None:
        self._places = places
        self._keys = keys
        self._lifetime = lifetime

    def apply(self, state: State, call: Call) -> tuple[State, Answer]:
        """Return the state after the call, and its answer."""
        state = age(state, call.day)
        pair = call.place, call.token
        others = frozenset(row for row in state if (row.place, row.token) != pair)
        if call.verb == "LOOKUP":
            found = frozenset(row.token for row in state if row.place == call.place)
            return state, Answer(200, "ok", tokens=found)
        if call.verb in ("REPORT", "OK"):
            (row,) = state - others or (None,)
            if row is None:
                return state, Answer(200, "absent")
            if call.verb == "OK":
                # Renewals are written once a day.
                until = call.day + self._lifetime
                return others | {row._replace(until=until) if row.until < until - 1 else row}, Answer(200, "renewed")
            # Who registered on the day of the message may have done so after it.
            return (others, Answer(200, "removed")) if row.since < call.sent else (state, Answer(200, "newer"))
        if call.place not in self._keys[call.key]:
            return state, FORBIDDEN
        if call.verb == "DELETE":
            return (others, Answer(200, DELETED, pair)) if others != state else (state, NO_TOKEN)
        if call.place not in self._places:
            return state, NO_PLACE
        if call.verb == "REFRESH" and others == state:
            return state, NO_TOKEN
        return others | {Row(*pair, call.day + self._lifetime, call.day)}, Answer(200, STORED, pair)

    def step(self, state: State, call: Call, answer: Answer | None, fresh: str) -> State | None:
        """Return the state after the call if it may have been answered so; None for an answer is one never seen."""
        after, expected = self.apply(state, call)
        return after if answer in (None, expected) else None


def age(state: State, day: int) -> State:
    """Return what is left of the state on the day."""
    return frozenset(row for row in state if row.until > day)


def agrees(state: State, stored: State) -> bool:
    """Whether the state is the one that is stored."""
    return state == stored
