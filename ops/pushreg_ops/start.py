"""Starts the `pushreg` command, so that a signal at any time ends it without a traceback and without remains."""

from __future__ import annotations

import importlib
import signal
import sys
import types


def main() -> None:
    """Import the command and run it; SIGTERM and SIGHUP end it with 128 + their number."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        # The next file to be opened would take the place of the missing stream.
        sys.exit("pushreg: standard input, output or error is closed: redirect it to /dev/null")
    # Ignored signals, as under nohup, stay ignored.
    is_stoppable = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_stoppable:
        # The imports take most of a second: Ctrl-C ends the process at once, where Python would print a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    command = importlib.import_module("pushreg_ops.cli")
    if is_stoppable:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _stop)
    command.main()


def _stop(number: int, _: types.FrameType | None) -> None:
    # As an exception, so that unfinished files are removed: an export contains tokens.
    sys.exit(128 + number)
