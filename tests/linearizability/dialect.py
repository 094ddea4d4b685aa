"""What the histories need of a family: random calls, how to make one, stored items as a state of the model."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from random import Random
from typing import Protocol, TypeVar

from pushreg.schema import Item
from tests.support.calls import Send

State = TypeVar("State", bound=Hashable)
Call = TypeVar("Call", bound=Hashable)
Answer = TypeVar("Answer", bound=Hashable)


class Dialect(Protocol[State, Call, Answer]):
    """One family under trial."""

    name: str
    initial: State

    def draw(self, random: Random, seen: Sequence[Answer], day: int = 0) -> Call:
        """Return a call of the day, sometimes about what an earlier answer told."""

    def perform(self, send: Send, call: Call) -> Answer | None:
        """Make the call and return what a model determines of its answer; None for a 5xx."""

    def step(self, state: State, call: Call, answer: Answer | None, fresh: str) -> State | None:
        """Return the model's state after the call if it may have been answered so."""

    def attempt(self, call: Call) -> Call | None:
        """Return what an attempt of the call may do whose response is lost, so that it is made again.

        None if the repeated request is recognised, so that both together take effect once.
        """

    def age(self, state: State, day: int) -> State:
        """Return what is left of a state on the day."""

    def agrees(self, state: State, stored: State) -> bool:
        """Whether the model's state is the stored one."""

    def load(self, items: Iterable[Item]) -> State:
        """Return the stored items as a state of the model."""
