"""Every family and its model, driven side by side: same answers, same things stored, invariants kept."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.contract.in_process import Gateway
from tests.support.stored import Stored
from tests.trust.family_engagement import Engagement
from tests.trust.family_kazoo import Kazoo
from tests.trust.family_places import Places
from tests.trust.histories import RECENT, AnyFamily
from tests.trust.stack import TABLES

pytestmark = pytest.mark.engine


class Comparison(RuleBasedStateMachine):
    """One caller after the other, of whom any may call anything."""

    def __init__(self, family: AnyFamily, client: Any, stored: Stored) -> None:
        super().__init__()
        self._family = family
        self._stored = stored
        self._gateway = Gateway(client)
        self._state = family.initial
        self._seen: list[Any] = []

    @rule(random=st.randoms(use_true_random=False))
    def call(self, random: Random) -> None:
        """Make one call; the answer is the model's."""
        call = self._family.draw(random, self._seen[-RECENT:])
        answer = self._family.perform(self._gateway.send, call)
        assert answer is not None, f"{call} failed"
        after = self._family.step(self._state, call, answer, "?")
        assert after is not None, f"{call} on {sorted(self._state)} was answered {answer}"
        self._seen.append(answer)
        self._state = after

    @invariant()
    def agree(self) -> None:
        """What is stored is what the model holds, and keeps the invariants."""
        items = self._stored.settled(TABLES[self._family.name])
        assert self._family.agrees(self._state, self._family.load(items))

    def teardown(self) -> None:
        """Leave the table empty."""
        self._stored.clear(TABLES[self._family.name])


@pytest.mark.parametrize("family", [Kazoo(), Engagement(), Places()], ids=lambda family: family.name)
def test_family_answers_and_stores_as_its_model(family: AnyFamily, client: Any, stored: Stored) -> None:
    class Machine(Comparison):
        def __init__(self) -> None:
            super().__init__(family, client, stored)

    run_state_machine_as_test(Machine, settings=settings(max_examples=25, stateful_step_count=30))
