"""What an atomic engagement server would answer (spec of the outcomes: docs/compatibility.md).

A KSID is drawn at random, so the model takes it from the first answer that shows it: a call that was never answered
leaves a stand-in, `?` and a number, and the answer that later leads to that subscriber gives it its name.
"""

from __future__ import annotations

import math
from typing import NamedTuple


class Row(NamedTuple):
    """A subscriber, until the day it expires."""

    ksid: str
    app: str
    device: str
    sid: str
    system: str
    ufid: str | None
    active: bool
    until: float = math.inf


class Subscribe(NamedTuple):
    """A subscribe request; `style` is the format it is written in."""

    style: str
    app: str
    device: str
    sid: str
    system: str
    ufid: str | None
    day: int = 0


class Unsubscribe(NamedTuple):
    """An unsubscribe request, by KSID, or by application and device."""

    style: str
    ksid: str | None
    app: str | None
    device: str | None
    day: int = 0


class Answer(NamedTuple):
    """The parts of an answer that the state decides; every failure has the KSID -1."""

    status: str
    word: str
    ksid: str = "-1"


Call = Subscribe | Unsubscribe
State = frozenset[Row]

CREATED = "Subscription successful."
UPDATED = "Update successful."
DUPLICATE = "Duplicate subscription. SID element has ID of existing subscription."
UNSUBSCRIBED = "Unsubscription successful."
ALREADY = "Already unsubscribed."
UNCLEAR = Answer(
    "403", "Subscription unclear. Found multiple subscriptions with given input. Check your SID and DEVICE ID"
)
NO_APPLICATION = Answer("404", "Invalid Application ID.")
NO_SUBSCRIPTION = Answer("404", "No valid subscription exists.")


class Model:
    """The applications that exist, and for how many days after its last refresh a subscriber is kept."""

    def __init__(self, applications: frozenset[str], lifetime: float = math.inf) -> None:
        self._applications = applications
        self._lifetime = lifetime

    def apply(self, state: State, call: Call, fresh: str) -> tuple[State, Answer]:
        """Return the state after the call, and its answer; a subscriber made by it gets the KSID `fresh`."""
        state = age(state, call.day)
        if call.app is not None and call.app not in self._applications:
            return state, NO_APPLICATION
        if isinstance(call, Unsubscribe):
            return _unsubscribe(state, call)
        return _subscribe(state, call, fresh, call.day + self._lifetime)

    def step(self, state: State, call: Call, answer: Answer | None, fresh: str) -> State | None:
        """Return the state after the call if it may have been answered so; None for an answer is one never seen."""
        if answer is None:
            return self.apply(state, call, fresh)[0]
        ours = {row.ksid for row in state}
        # The KSID of an answer is new, or known, or the name at last of a stand-in.
        after, expected = self.apply(state, call, answer.ksid if answer.ksid not in ours else fresh)
        if expected == answer:
            return after
        if expected.ksid.startswith("?") and expected._replace(ksid=answer.ksid) == answer and answer.ksid not in ours:
            return frozenset(row._replace(ksid=answer.ksid) if row.ksid == expected.ksid else row for row in after)
        return None


def _subscribe(state: State, call: Subscribe, fresh: str, until: float) -> tuple[State, Answer]:
    matches = [row for row in state if row.app == call.app and (row.sid == call.sid or row.device == call.device)]
    if len(matches) > 1:
        return state, UNCLEAR
    wanted = Row(fresh, call.app, call.device, call.sid, call.system, call.ufid, active=True, until=until)
    if not matches:
        return state | {wanted}, Answer("200", CREATED, fresh)
    (row,) = matches
    # A request without ufid keeps the one that is stored.
    wanted = wanted._replace(ksid=row.ksid, ufid=call.ufid or row.ufid)
    if wanted != row._replace(until=until):
        return state - {row} | {wanted}, Answer("200", UPDATED, row.ksid)
    # It is kept longer for having been seen, but not written for less than a day more.
    kept = row if row.until >= until - 1 else wanted
    return state - {row} | {kept}, Answer("201", DUPLICATE, row.ksid)


def _unsubscribe(state: State, call: Unsubscribe) -> tuple[State, Answer]:
    by_ksid = call.ksid is not None
    matches = [
        row
        for row in state
        if (row.ksid == call.ksid if by_ksid else row.device == call.device) and call.app in (None, row.app)
    ]
    if not matches:
        return state, NO_SUBSCRIPTION
    (row,) = matches
    if call.device not in (None, row.device):
        return state, UNCLEAR
    if not row.active:
        return state, Answer("200", ALREADY, row.ksid)
    return state - {row} | {row._replace(active=False)}, Answer("200", UNSUBSCRIBED, row.ksid)


def age(state: State, day: int) -> State:
    """Return what is left of the state on the day."""
    return frozenset(row for row in state if row.until > day)


def agrees(state: State, stored: State) -> bool:
    """Whether the state is the one that is stored, whatever KSIDs stand-ins got."""
    named = {row for row in state if not row.ksid.startswith("?")}
    ours = {row.ksid for row in named}
    others = {row._replace(ksid="?") for row in stored if row.ksid not in ours}
    return (
        named <= stored
        and len(state) == len(stored)
        # Two subscribers never agree in all but the KSID, so nothing is lost by making sets of them.
        and others == {row._replace(ksid="?") for row in state - named}
    )
