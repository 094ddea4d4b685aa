"""Wing and Gong's search: whether calls that overlapped can be put into one order that an atomic registry would show.

J. Wing, C. Gong, "Testing and Verifying Concurrent Objects" (1993); the memory of visited configurations is Lowe's
("Testing for linearizability", 2017).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

State = TypeVar("State", bound=Hashable)
Call = TypeVar("Call")
Answer = TypeVar("Answer")

# The state after a call if it may have been answered so, None if not. An answer of None was never seen; the text names
# whatever the call may have made, uniquely.
Step = Callable[[State, Call, Answer | None, str], State | None]


@dataclass(frozen=True)
class Event(Generic[Call, Answer]):
    """A call, what came back, and between which moments it must have taken effect if it did.

    A call that failed or never came back may have taken effect at any time after its start, or not at all. An attempt
    whose response was lost may have had an effect of its own, before that of the event with the index `attempt_of`.
    """

    client: int
    call: Call
    answer: Answer | None
    start: float
    end: float
    attempt_of: int | None = None

    @property
    def deadline(self) -> float:
        """The moment by which the call took effect, if that is known."""
        return math.inf if self.answer is None else self.end


def find_order(
    events: Sequence[Event[Call, Answer]],
    initial: State,
    step: Step[State, Call, Answer],
    accept: Callable[[State], bool],
) -> list[int] | None:
    """Return the indices of the events in an order that explains all answers and ends in an accepted state, or None."""
    answered = sum(1 << index for index, event in enumerate(events) if event.answer is not None)
    visited = {(0, initial)}
    order: list[int] = []
    if not answered and accept(initial):
        return order
    paths = [_extend(events, 0, initial, step)]
    masks = [0]
    while paths:
        found = next(paths[-1], None)
        if found is None:
            paths.pop()
            masks.pop()
            if order:
                order.pop()
            continue
        index, state = found
        mask = masks[-1] | 1 << index
        if (mask, state) in visited:
            continue
        visited.add((mask, state))
        order.append(index)
        if mask & answered == answered and accept(state):
            return order
        masks.append(mask)
        paths.append(_extend(events, mask, state, step))
    return None


def _extend(
    events: Sequence[Event[Call, Answer]], mask: int, state: State, step: Step[State, Call, Answer]
) -> Iterator[tuple[int, State]]:
    """Yield each event that may come next, with the state after it."""
    pending = [(index, event) for index, event in enumerate(events) if not mask >> index & 1]
    # Whoever was answered before another one began comes before it.
    horizon = min((event.deadline for _, event in pending), default=math.inf)
    # Those whose answer was seen first, the earliest before the others: most of the rest took effect at once or never.
    for index, event in sorted(pending, key=lambda each: each[1].deadline):
        is_over = event.attempt_of is not None and mask >> event.attempt_of & 1
        if event.start < horizon and not is_over:
            after = step(state, event.call, event.answer, f"?{index}")
            if after is not None and not (event.answer is None and after == state):
                yield index, after
