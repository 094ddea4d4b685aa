"""The console's log of changes, without a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pushreg.stores.changes import Change
from pushreg_ops.console.changes import MAX_CHANGES, MAX_PAUSE, ChangeLog


def poll(*polls: list[Change]) -> Callable[[], Iterable[Change]]:
    """Return a function that gives the next of the changes at each call, and none after the last."""
    remaining = iter(polls)
    return lambda: next(remaining, [])


def change(number: int) -> Change:
    return Change("created", {"number": number})


def test_change_log_returns_latest_changes_newest_first() -> None:
    log = ChangeLog(lambda: poll([], [change(1), change(2)], [change(3)]))
    assert log.read() == (0, [])
    assert log.read() == (2, [change(2), change(1)])
    assert log.read() == (3, [change(3), change(2), change(1)])
    assert log.read() == (3, [change(3), change(2), change(1)])


def test_change_log_keeps_bounded_number_of_changes_and_counts_all() -> None:
    log = ChangeLog(lambda: poll([change(number) for number in range(MAX_CHANGES + 5)]))
    count, changes = log.read()
    assert (count, len(changes), changes[0]) == (MAX_CHANGES + 5, MAX_CHANGES, change(MAX_CHANGES + 4))


def test_change_log_after_long_pause_follows_anew() -> None:
    sources = iter([poll([change(1)]), poll([change(2)])])
    times = iter([0.0, MAX_PAUSE, 2 * MAX_PAUSE + 1])
    log = ChangeLog(lambda: next(sources), lambda: next(times))
    assert log.read() == (1, [change(1)])
    assert log.read() == (1, [change(1)])
    assert log.read() == (2, [change(2), change(1)])
