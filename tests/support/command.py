"""The `pushreg` command in this process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pushreg_ops.cli import main

Run = Callable[..., tuple[int, str, str]]


def make_run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs the command with arguments: exit code, what it printed, what it complained of."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = 0
        try:
            main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, *capsys.readouterr()

    return run
