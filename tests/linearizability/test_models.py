"""Every family and its model get the same sequential calls: same answers, same state, invariants kept."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from pushreg.dynamodb import to_attributes
from pushreg.schema import DEVICES, SUBSCRIBERS, TABLE_KEYS, Item
from pushreg_ops.records.invariants import Violation, check_devices, check_subscribers
from tests.linearizability.dialect_engagement import Engagement
from tests.linearizability.dialect_kazoo import Kazoo
from tests.linearizability.dialect_places import Places
from tests.linearizability.histories import LIFETIME, RECENT, AnyDialect, list_dialects
from tests.linearizability.stack import TABLES, to_day, to_moment, write_lifetime
from tests.support.gateway import Gateway
from tests.support.stored import CHECKS, Stored

pytestmark = pytest.mark.engine


SETTINGS = settings(max_examples=20, stateful_step_count=30)


class Comparison(RuleBasedStateMachine):
    """One caller after the other, of whom any may call anything."""

    def __init__(self, dialect: AnyDialect, lifetime: int, client: Any, stored: Stored) -> None:
        super().__init__()
        self._dialect = dialect
        self._stored = stored
        self._table = TABLES[dialect.name]
        self._day = 0
        self._gateway = Gateway(client, write_lifetime(lifetime), clock=lambda: to_moment(self._day))
        self._state = dialect.initial
        self._seen: list[Any] = []

    @rule(random=st.randoms(use_true_random=False))
    def call(self, random: Random) -> None:
        """Make one call; the answer is the model's."""
        call = self._dialect.draw(random, self._seen[-RECENT:], self._day)
        answer = self._dialect.perform(self._gateway.send, call)
        assert answer is not None, f"{call} failed"
        after = self._dialect.step(self._state, call, answer, "?")
        assert after is not None, f"{call} on {sorted(self._state)} was answered {answer}"
        self._seen.append(answer)
        self._state = after

    @invariant()
    def agree(self) -> None:
        """What is stored and has not expired is what the model holds, and keeps the invariants."""
        items = self._items()
        assert list(check(self._table, items, self._day)) == []
        state, stored = self._state, self._dialect.load(items)
        assert self._dialect.agrees(self._dialect.age(state, self._day), self._dialect.age(stored, self._day))

    def teardown(self) -> None:
        """Leave the table empty."""
        self._stored.clear(self._table)

    def _items(self) -> list[Item]:
        return self._stored.items(self._table)


class AgeingComparison(Comparison):
    """The same while days pass."""

    @rule(days=st.sampled_from((1, 2, LIFETIME - 1, LIFETIME)), random=st.randoms(use_true_random=False))
    def wait(self, days: int, random: Random) -> None:
        """Let days pass, and an expired item be removed, as DynamoDB does in its own time and order."""
        self._day += days
        expired = [item for item in self._items() if to_day(item.get("expires_at")) <= self._day]
        if expired:
            item = random.choice(sorted(expired, key=describe))
            key = to_attributes({name: item[name] for name in TABLE_KEYS[self._table]})
            self._stored.client.delete_item(TableName=self._table, Key=key)


def describe(item: Item) -> str:
    """Return the item without its KSID, which is another one whenever Hypothesis tries the same again."""
    ksid = str(item.get("ksid"))
    return repr(sorted((name, value) for name, value in item.items() if ksid not in str(value)))


def check(table: str, items: list[Item], day: int) -> Iterable[Violation]:
    """Return what is wrong with the items on the day."""
    epoch = int(to_moment(day).timestamp())
    if table == DEVICES:
        return check_devices(items, epoch)
    return check_subscribers(items, epoch) if table == SUBSCRIBERS else CHECKS[table](items)


@pytest.mark.parametrize(
    "dialect",
    [Kazoo(has_senders=True), Engagement(has_senders=True), Places(has_senders=True)],
    ids=lambda dialect: dialect.name,
)
def test_family_sequential_calls_agree_with_model(dialect: AnyDialect, client: Any, stored: Stored) -> None:
    class Machine(Comparison):
        def __init__(self) -> None:
            super().__init__(dialect, 0, client, stored)

    run_state_machine_as_test(Machine, settings=SETTINGS)


@pytest.mark.parametrize(
    "dialect",
    list_dialects(),
    ids=lambda dialect: dialect.name,
)
def test_family_expiry_agrees_with_model(dialect: AnyDialect, client: Any, stored: Stored) -> None:
    class Machine(AgeingComparison):
        def __init__(self) -> None:
            super().__init__(dialect, LIFETIME, client, stored)

    run_state_machine_as_test(Machine, settings=SETTINGS)
