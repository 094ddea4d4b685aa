"""Progress bars, only on a terminal and on standard error, so that results can be redirected."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text


class Meter:
    """The progress bar of one task."""

    def __init__(self, progress: Progress, title: str, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=total or None, done=0)
        self._begun: tuple[float, int] | None = None
        self._done = 0

    def move(self, position: int, done: int) -> None:
        """Show the position relative to the total and the number of rows done."""
        elapsed = self._progress.get_time()
        if self._begun is None:
            self._begun = (elapsed, done)
        seconds, rows = elapsed - self._begun[0], done - self._begun[1]
        rate = f"{rows / seconds:,.0f}/s" if seconds > 0 else ""
        self._progress.update(self._task, completed=position, done=done, rate=rate)

    def advance(self, count: int) -> None:
        """Add to both the position and the number done."""
        self._done += count
        self.move(self._done, self._done)


class _RowsColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.fields['done']:,} {task.fields.get('rate', '')}")


@contextmanager
def meter(title: str, total: int | None = None) -> Iterator[Meter]:
    """Show a progress bar while the block runs, an indeterminate one without a total."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        _RowsColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield Meter(progress, title, total)
