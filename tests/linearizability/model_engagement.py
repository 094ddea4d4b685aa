"""What an atomic engagement server would answer (spec of the outcomes: docs/compatibility.md).

A call that 1.0.0 answers follows that version's rules where they differ: it takes no claim from another subscriber,
a blank ufid changes nothing, and unsubscribing keeps the ufid.

A KSID is drawn at random, so the model takes it from the first answer that shows it: a call that was never answered
leaves a stand-in, `?` and a number, and the answer that later leads to that subscriber gives it its name.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import NamedTuple


class Row(NamedTuple):
    """A subscriber, updated on the day `since`, until the day it expires; a device or sid that was taken is empty.

    `cloud` is false if its sid was reported dead.
    """

    ksid: str
    app: str
    device: str
    sid: str
    system: str
    ufid: str | None
    active: bool
    until: float = math.inf
    cloud: bool = True
    since: int = 0


class Subscribe(NamedTuple):
    """A subscribe request; `style` is the format it is written in, or the modern API; an empty ufid is a blank one.

    1.0.0 answers it if `is_released`.
    """

    style: str
    app: str
    device: str
    sid: str
    system: str
    ufid: str | None
    day: int = 0
    is_released: bool = False


class Unsubscribe(NamedTuple):
    """An unsubscribe request, by KSID, or by application and device; 1.0.0 answers it if `is_released`."""

    style: str
    ksid: str | None
    app: str | None
    device: str | None
    day: int = 0
    is_released: bool = False


class Manage(NamedTuple):
    """An operator's request on the modern API: activate, inactivate or delete one subscriber."""

    verb: str
    ksid: str
    day: int = 0


class Report(NamedTuple):
    """A sender's REPORT or OK about a message to a sid, sent at the beginning of the day `sent`."""

    verb: str
    ksid: str
    sid: str
    sent: int
    day: int = 0


class LookUp(NamedTuple):
    """A sender's lookup, by KSID, or by application and device."""

    ksid: str | None
    app: str | None
    device: str | None
    day: int = 0


class Answer(NamedTuple):
    """The parts of an answer that the state decides; every failure has the KSID -1."""

    status: str
    word: str
    ksid: str = "-1"


# The modern API, which is JSON.
MODERN = "v1"
XML = "xml"

Call = Subscribe | Unsubscribe | Manage | Report | LookUp
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
STATUS_UPDATED = "Subscriber Status updated successfully."
DELETED = Answer("200", "Subscribers deleted successfully", "")
NOT_INACTIVE = Answer("400", "Please provide valid ksids with inactive status", "")
NOT_MANAGED = Answer("400", "Invalid request format", "")
ABSENT, NEWER, REMOVED, RENEWED = (Answer("200", word) for word in ("absent", "newer", "removed", "renewed"))
NOBODY = Answer("200", "no tokens")
# What the modern API says instead: it tells no duplicate from an update, and a KSID is an empty text in a failure.
_MODERN_ANSWERS = {
    NO_APPLICATION: Answer("400", "Invalid Volt MX application ID", ""),
    NO_SUBSCRIPTION: Answer("400", "Invalid KSID", ""),
}


class Model:
    """The applications that exist, and for how many days after its last refresh a subscriber is kept."""

    def __init__(self, applications: frozenset[str], lifetime: float = math.inf) -> None:
        self._applications = applications
        self._lifetime = lifetime

    def apply(self, state: State, call: Call, fresh: str) -> tuple[State, Answer]:
        """Return the state after the call, and its answer; a subscriber made by it gets the KSID `fresh`."""
        match call:
            case Manage():
                return _manage(age(state, call.day), call)
            case Report():
                return _report(age(state, call.day), call, call.day + self._lifetime)
            case LookUp():
                state = age(state, call.day)
                return state, _look_up(state, call)
        state, answer = self._apply(age(state, call.day), call, fresh)
        if call.style == MODERN:
            answer = _MODERN_ANSWERS.get(answer, answer)
            if answer.word == DUPLICATE:
                answer = Answer("200", UPDATED, answer.ksid)
        return state, answer

    def _apply(self, state: State, call: Subscribe | Unsubscribe, fresh: str) -> tuple[State, Answer]:
        if call.app is not None and call.app not in self._applications:
            return state, NO_APPLICATION
        if isinstance(call, Unsubscribe):
            return _unsubscribe(state, call)
        return _subscribe(state, call, fresh, call.day + self._lifetime)

    def step(self, state: State, call: Call, answer: Answer | None, fresh: str) -> State | None:
        """Return the state after the call if it may have been answered so; None for an answer is one never seen."""
        if answer is None:
            return self.apply(state, call, fresh)[0]
        if answer == NO_SUBSCRIPTION and isinstance(call, Unsubscribe) and _may_miss_device(state, call):
            return state
        ours = {row.ksid for row in state}
        # The KSID of an answer is new, or known, or the name at last of a stand-in.
        after, expected = self.apply(state, call, answer.ksid if answer.ksid not in ours else fresh)
        if expected == answer:
            return after
        if expected.ksid.startswith("?") and expected._replace(ksid=answer.ksid) == answer and answer.ksid not in ours:
            return frozenset(row._replace(ksid=answer.ksid) if row.ksid == expected.ksid else row for row in after)
        return None


def _subscribe(state: State, call: Subscribe, fresh: str, until: float) -> tuple[State, Answer]:
    by_device = next((row for row in state if row.app == call.app and row.device == call.device), None)
    by_sid = next((row for row in state if row.app == call.app and row.sid == call.sid), None)
    # XML cannot leave out what its template prints.
    keeps_ufid = call.ufid is None or (call.ufid == "" and (call.style == XML or call.is_released))
    values = fresh, call.app, call.device, call.sid, call.system, call.ufid or None
    wanted = Row(*values, active=True, until=until, since=call.day)
    row = by_device or by_sid
    if row is None:
        return state | {wanted}, Answer("200", CREATED, fresh)
    others: State = frozenset()
    if by_device is not None and by_sid is not None and by_device != by_sid:
        modern = call.style == MODERN
        if call.is_released or (by_device.active and by_sid.active and not modern):
            return state, UNCLEAR
        if by_sid.active and not by_device.active and not modern:
            row, loser, less = by_sid, by_device, by_device._replace(device="")
        else:
            row, loser, less = by_device, by_sid, by_sid._replace(sid="")
            if loser.active:
                less = less._replace(active=False, ufid=None)
        state, others = state - {loser}, frozenset({less})
    kept_ufid = row.ufid if row.active or call.is_released else None
    wanted = wanted._replace(ksid=row.ksid, ufid=kept_ufid if keeps_ufid else wanted.ufid)
    if others or wanted != row._replace(until=until, since=call.day):
        return state - {row} | {wanted} | others, Answer("200", UPDATED, row.ksid)
    # It is kept longer for having been seen, but not written for less than a day more; nor less, which a clock behind
    # would have it be.
    kept = row if row.until == until or abs(row.until - until) <= 1 else wanted
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
    inactive = row._replace(active=False, ufid=row.ufid if call.is_released else None, since=call.day)
    return state - {row} | {inactive}, Answer("200", UNSUBSCRIBED, row.ksid)


def _may_miss_device(state: State, call: Unsubscribe) -> bool:
    """Whether 1.0.0 may answer 404 although the device has a subscriber: it followed the one that lost the device.

    In 1.0.0 no subscriber takes the device of another, so it looks no second time.
    """
    return call.is_released and call.ksid is None and any(row.app == call.app and row.device == "" for row in state)


def _manage(state: State, call: Manage) -> tuple[State, Answer]:
    row = next((row for row in state if row.ksid == call.ksid), None)
    if call.verb == "delete":
        if row is None or row.active:
            return state, NOT_INACTIVE
        return state - {row}, DELETED
    active = call.verb == "activate"
    if row is None or (active and not row.active and "" in (row.sid, row.device)):
        return state, NOT_MANAGED
    changed = row if row.active == active else row._replace(active=active, since=call.day)
    return state - {row} | {changed}, Answer("200", STATUS_UPDATED, row.ksid)


def _report(state: State, call: Report, until: float) -> tuple[State, Answer]:
    row = next((row for row in state if row.ksid == call.ksid), None)
    if row is None:
        return state, ABSENT
    if row.sid != call.sid:
        return state, NEWER
    if call.verb == "OK":
        # Renewals are written once a day.
        renewed = row._replace(until=until) if row.until < until - 1 else row
        return state - {row} | {renewed}, RENEWED
    # What was sent on the day of the message may have been sent after it.
    if row.since >= call.sent:
        return state, NEWER
    return state - {row} | {row._replace(cloud=False)}, REMOVED


def _look_up(state: State, call: LookUp) -> Answer:
    by_ksid = call.ksid is not None
    for row in state:
        is_named = row.ksid == call.ksid if by_ksid else (row.app, row.device) == (call.app, call.device)
        if is_named and row.active and row.cloud and row.sid:
            return Answer("200", row.sid, row.ksid)
    return NOBODY


def age(state: State, day: int) -> State:
    """Return what is left of the state on the day."""
    return frozenset(row for row in state if row.until > day)


def agrees(state: State, stored: State) -> bool:
    """Whether the state is the one that is stored, whatever KSIDs stand-ins got."""
    named = {row for row in state if not row.ksid.startswith("?")}
    ours = {row.ksid for row in named}
    others = Counter(row._replace(ksid="?") for row in stored if row.ksid not in ours)
    return named <= stored and others == Counter(row._replace(ksid="?") for row in state - named)
