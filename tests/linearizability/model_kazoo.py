"""What an atomic Kazoo registry would answer: one subscription a device, one device a mobile device, per account."""

from __future__ import annotations

import math
from typing import NamedTuple


class Content(NamedTuple):
    """What a caller asks to be stored, as far as two contents differ here."""

    app: str
    mobile: str
    tokens: tuple[str, ...]


class Revision(NamedTuple):
    """The count of writes, and the content that the digest stands for."""

    writes: int
    content: Content


class Row(NamedTuple):
    """A device's subscription, sent last on the day `since`, until the day it expires."""

    account: str
    device: str
    revision: Revision
    until: float = math.inf
    since: int = 0


class Call(NamedTuple):
    """One request on the day named; `wanted` is If-Match (None: not sent), `unwanted` is If-None-Match.

    REPORT and OK are about a message to `token`, sent at the beginning of the day `sent`.
    """

    verb: str
    caller: str
    account: str
    device: str
    content: Content
    wanted: frozenset[Revision] | None = None
    unwanted: frozenset[Revision] = frozenset()
    day: int = 0
    token: str = ""
    sent: int = 0


class Answer(NamedTuple):
    """The parts of an answer that the state decides."""

    status: int
    word: str = ""
    revision: Revision | None = None
    tokens: tuple[str, ...] = ()


State = frozenset[Row]

SENDER_VERBS = ("REPORT", "OK", "LOOKUP")
FORBIDDEN = Answer(403, "forbidden")
UNKNOWN = Answer(404, "bad_identifier")
EXISTS = Answer(400, "subscription already exists for this device")
FAILED = Answer(412)


def apply(state: State, call: Call, lifetime: float = math.inf) -> tuple[State, Answer]:
    """Return the state after the call, and its answer; subscriptions expire `lifetime` days after they were sent."""
    state = age(state, call.day)
    until = call.day + lifetime
    row = next((row for row in state if (row.account, row.device) == (call.account, call.device)), None)
    if call.verb in SENDER_VERBS:
        return _apply_for_sender(state, row, call, until)
    if call.caller != call.account:
        return state, FORBIDDEN
    if call.verb == "PUT":
        return _create(state, row, call, until)
    if row is None or (call.verb != "POST" and row.revision.content.app != call.content.app):
        return state, UNKNOWN
    if call.wanted is not None and row.revision not in call.wanted:
        return state, FAILED
    if row.revision in call.unwanted:
        return state, Answer(304) if call.verb == "GET" else FAILED
    match call.verb:
        case "GET":
            return state, Answer(200, "found", row.revision)
        case "DELETE":
            return state - {row}, Answer(200, "deleted", row.revision)
        case _ if row.revision.content == call.content:
            # It is refreshed once a day.
            kept = row._replace(until=until, since=call.day) if row.since < call.day else row
            return state - {row} | {kept}, Answer(200, "stored", row.revision)
    return _store(state - {row}, call, Revision(row.revision.writes + 1, call.content), 200, until)


def _create(state: State, row: Row | None, call: Call, until: float) -> tuple[State, Answer]:
    if row is not None:
        return state, EXISTS
    if call.wanted is not None:
        return state, FAILED
    return _store(state, call, Revision(1, call.content), 201, until)


def _store(others: State, call: Call, revision: Revision, status: int, until: float) -> tuple[State, Answer]:
    """Store the device's subscription; whichever device of the account had the mobile device loses its own."""
    holder = (call.account, call.content.mobile)
    kept = frozenset(row for row in others if (row.account, row.revision.content.mobile) != holder)
    stored = Row(call.account, call.device, revision, until, call.day)
    return kept | {stored}, Answer(status, "stored", revision)


def _apply_for_sender(state: State, row: Row | None, call: Call, until: float) -> tuple[State, Answer]:
    tokens = () if row is None else row.revision.content.tokens
    if call.verb == "LOOKUP":
        return state, Answer(200, "ok", tokens=tokens)
    if row is None or call.token not in tokens:
        return state, Answer(200, "absent")
    if call.verb == "OK":
        return state - {row} | {row._replace(until=renew(row.until, until))}, Answer(200, "renewed")
    # What was sent on the day of the message may have been sent after it.
    if row.since >= call.sent:
        return state, Answer(200, "newer")
    left = row.revision.content._replace(tokens=tuple(token for token in tokens if token != call.token))
    kept = {row._replace(revision=Revision(row.revision.writes + 1, left))} if left.tokens else set()
    return state - {row} | kept, Answer(200, "removed")


def step(state: State, call: Call, answer: Answer | None, lifetime: float = math.inf) -> State | None:
    """Return the state after the call if it may have been answered so; None for an answer is one never seen."""
    after, expected = apply(state, call, lifetime)
    return after if answer in (None, expected) else None


def renew(until: float, renewed: float) -> float:
    """Return the later expiry if it is more than a day later: renewals are written once a day."""
    return renewed if until < renewed - 1 else until


def age(state: State, day: int) -> State:
    """Return what is left of the state on the day."""
    return frozenset(row for row in state if row.until > day)


def agrees(state: State, stored: State) -> bool:
    """Whether the state is the one that is stored."""
    return state == stored
