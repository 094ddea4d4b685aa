"""Rounds in shuffled order, and medians."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


def shuffle_rounds(
    measures: Mapping[Key, Callable[[], float]], rounds: int, seed: int = 20261122
) -> dict[Key, list[float]]:
    """Return each measure's figures, all measures taken once in every round, each round in another order.

    So a machine that slows down slows everybody down.
    """
    order = random.Random(seed)
    figures: dict[Key, list[float]] = {key: [] for key in measures}
    for _ in range(rounds):
        for key in order.sample(list(measures), len(measures)):
            figures[key].append(measures[key]())
    return figures


def median_ratio(figures: Sequence[float], base: Sequence[float]) -> float:
    """Return the median of the ratios round by round, which drift cannot touch as it touches the ratio of medians."""
    return statistics.median(one / other for one, other in zip(figures, base, strict=True))


def table(header: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines: list[Sequence[object]] = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
