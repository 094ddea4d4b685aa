"""Recording what concurrent clients saw, and checking it against the model."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from pushreg.schema import Item
from pushreg_ops.records.invariants import Rule
from tests.linearizability.dialect import Dialect
from tests.linearizability.dialect_engagement import Engagement
from tests.linearizability.dialect_kazoo import Kazoo
from tests.linearizability.dialect_places import Places
from tests.linearizability.order_search import Event, find_order
from tests.linearizability.stack import TABLES, to_moment, write_lifetime
from tests.support.calls import Send
from tests.support.gateway import Gateway
from tests.support.stored import CHECKS, Stored

CALLS = 36
# How many of the latest answers a call may be about.
RECENT = 12
# Days until a registration expires; some, so that expiry is on as it is by default.
LIFETIME = 30

AnyDialect = Dialect[Any, Any, Any]
AnyEvent = Event[Any, Any]


@dataclass(frozen=True)
class History:
    """What the clients saw, what was stored in the end, and how long the slowest call took."""

    events: tuple[AnyEvent, ...]
    items: tuple[Item, ...]
    slowest: float

    @property
    def unanswered(self) -> int:
        """How many calls were answered with a 5xx."""
        return sum(event.answer is None for event in self.events)


def list_dialects() -> list[AnyDialect]:
    """Return the families, expiring as in `make_client`."""
    return [
        Kazoo(LIFETIME, has_senders=True),
        Engagement(LIFETIME, has_senders=True),
        Places(LIFETIME, has_senders=True),
    ]


def list_days(clients: int) -> list[int]:
    """Return the clients' days: verdicts compare times, so the clients are up to two days ahead of each other."""
    return [number % 3 for number in range(clients)]


def make_client(client: Any, day: int = 0) -> Send:
    """Return a caller with functions of its own, as Lambda gives each its execution environment, always of one day."""
    # Half of the pauses after a refusal are enough for so few clients.
    return Gateway(
        client, write_lifetime(LIFETIME), clock=lambda: to_moment(day), sleep=lambda each: time.sleep(each / 2)
    ).send


def record(
    dialect: AnyDialect, clients: Sequence[Send], seed: str, stored: Stored, days: Sequence[int] | None = None
) -> History:
    """Let the clients share the calls, all at once, on empty tables, which they leave so; return what they saw.

    `days` are the clients' own, day 0 by default.
    """
    # A counter, unlike a clock, orders all beginnings and ends; next() is one step under the interpreter's lock.
    ticks = itertools.count()
    seen: list[Any] = []
    events: list[AnyEvent] = []
    durations: list[float] = []
    failures: list[BaseException] = []
    barrier = threading.Barrier(len(clients))

    def work(number: int, send: Send) -> None:
        random = Random(f"{seed} {number}")
        barrier.wait()
        try:
            for _ in range(CALLS // len(clients)):
                call = dialect.draw(random, seen[-RECENT:], 0 if days is None else days[number])
                start, began = next(ticks), time.monotonic()
                answer = dialect.perform(send, call)
                end = next(ticks)
                durations.append(time.monotonic() - began)
                if answer is not None:
                    seen.append(answer)
                events.append(Event(number, call, answer, start, end))
        # It would end its thread unnoticed; whoever waits for the threads raises it again.
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    table = TABLES[dialect.name]
    items = stored.items(table)
    stored.clear(table)
    return History(tuple(sorted(events, key=lambda event: event.start)), tuple(items), max(durations))


def judge(
    dialect: AnyDialect, history: History, ignored: frozenset[Rule] = frozenset(), *, has_faults: bool = False
) -> list[str]:
    """Return nothing if some order of atomic calls explains all that was seen and stored, else what is wrong.

    Violations of the rules `ignored` are not. With faults, a response may have been lost and its request repeated.
    """
    violations = [each for each in CHECKS[TABLES[dialect.name]](list(history.items)) if each.rule not in ignored]
    if violations:
        return [str(violation) for violation in violations]
    stored = dialect.load(history.items)
    events = [*history.events, *list_attempts(dialect, history.events)] if has_faults else history.events
    order = find_order(events, dialect.initial, dialect.step, lambda state: dialect.agrees(state, stored))
    return [] if order is not None else list(_describe(history.events, stored))


def list_attempts(dialect: AnyDialect, events: Sequence[AnyEvent]) -> Iterator[AnyEvent]:
    """Yield what may have happened by attempts whose responses were lost, each an event of its own."""
    for index, event in enumerate(events):
        call = dialect.attempt(event.call)
        if call is not None:
            yield Event(event.client, call, None, event.start, event.end, attempt_of=index)


def _describe(events: Sequence[AnyEvent], stored: Any) -> Iterator[str]:
    yield "no order of atomic calls explains this:"
    for event in events:
        yield f"  {event.start:>3.0f}-{event.end:<3.0f} client {event.client}: {event.call}\n      -> {event.answer}"
    yield f"  stored: {sorted(stored)}"
