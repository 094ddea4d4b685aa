"""Short form of violations for assertions."""

from __future__ import annotations

from collections.abc import Iterator

from pushreg_ops.records.invariants import Rule, Violation


def rules(violations: Iterator[Violation]) -> list[tuple[Rule, str]]:
    """Return what is violated, and the first of the keys concerned in short."""
    return [(each.rule, str(list(each.keys[0].values())[-1])[:12]) for each in violations]
