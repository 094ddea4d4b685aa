"""The console's log of changes, over sources that need no stream."""

from __future__ import annotations

from collections.abc import Iterable

from pushreg.stores.changes import Change
from pushreg_ops.console.changes import MAX_CHANGES, MAX_PAUSE, ChangeLog


class Source:
    """Gives each poll the next of the changes."""

    def __init__(self, *polls: list[Change]) -> None:
        self._polls = iter(polls)

    def poll(self) -> Iterable[Change]:
        return next(self._polls, [])


def change(number: int) -> Change:
    return Change("created", {"number": number})


def test_change_log_returns_latest_changes_newest_first() -> None:
    log = ChangeLog(lambda: Source([], [change(1), change(2)], [change(3)]))
    assert log.read() == (0, [])
    assert log.read() == (2, [change(2), change(1)])
    assert log.read() == (3, [change(3), change(2), change(1)])
    assert log.read() == (3, [change(3), change(2), change(1)])


def test_change_log_keeps_bounded_number_of_changes_and_counts_all() -> None:
    log = ChangeLog(lambda: Source([change(number) for number in range(MAX_CHANGES + 5)]))
    count, changes = log.read()
    assert (count, len(changes), changes[0]) == (MAX_CHANGES + 5, MAX_CHANGES, change(MAX_CHANGES + 4))


def test_change_log_follows_anew_after_pause_in_which_iterators_expire() -> None:
    sources = [Source([change(1)]), Source([change(2)])]
    times = iter([0.0, MAX_PAUSE, 2 * MAX_PAUSE + 1])
    followed = iter(sources)
    log = ChangeLog(lambda: next(followed), lambda: next(times))
    assert log.read()[0] == 1
    assert log.read()[0] == 1
    assert log.read() == (2, [change(2), change(1)])
