"""What an atomic Device Token Service would answer: a set of tokens for each place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Row(NamedTuple):
    """A token that a place has."""

    place: str
    token: str


class Call(NamedTuple):
    """One request under the key named."""

    verb: str
    key: str
    place: str
    token: str


class Answer(NamedTuple):
    """The parts of an answer that the state decides."""

    status: int
    word: str
    row: Row | None = None


State = frozenset[Row]

STORED = "Device subscription created/updated successfully"
DELETED = "Device subscription deleted successfully"
FORBIDDEN = Answer(403, "The API key has no access to this place")
NO_PLACE = Answer(404, "Place not found")
NO_TOKEN = Answer(404, "Device subscription not found")


class Model:
    """The places that exist, and the keys with the places that they open."""

    def __init__(self, places: frozenset[str], keys: Mapping[str, frozenset[str]]) -> None:
        self._places = places
        self._keys = keys

    def apply(self, state: State, call: Call) -> tuple[State, Answer]:
        """Return the state after the call, and its answer."""
        row = Row(call.place, call.token)
        if call.place not in self._keys[call.key]:
            return state, FORBIDDEN
        if call.verb == "PUT":
            return (state | {row}, Answer(200, STORED, row)) if call.place in self._places else (state, NO_PLACE)
        return (state - {row}, Answer(200, DELETED, row)) if row in state else (state, NO_TOKEN)

    def step(self, state: State, call: Call, answer: Answer | None, fresh: str) -> State | None:
        """Return the state after the call if it may have been answered so; None for an answer is one never seen."""
        after, expected = self.apply(state, call)
        return after if answer in (None, expected) else None


def agrees(state: State, stored: State) -> bool:
    """Whether the state is the one that is stored."""
    return state == stored
