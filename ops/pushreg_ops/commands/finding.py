"""What `pushreg show` and `pushreg remove` share: find registrations by any id or token, and print them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import typer

from pushreg_local.errors import OperatorError
from pushreg_ops.commands.options import is_utf8
from pushreg_ops.progress import meter
from pushreg_ops.records.entities import StoredRegistration
from pushreg_ops.records.inspection import Inspector
from pushreg_ops.records.wording import NO_KEY, describe_scan, to_lines
from pushreg_ops.registry import Registry
from pushreg_ops.terminal import Terminal, align


def read_argument(text: str, name: str) -> str:
    """Return the argument, or the first line of standard input in place of `-`."""
    text = sys.stdin.readline().strip() if text == "-" else text
    if not text:
        raise typer.BadParameter("nothing to look up", param_hint=name)
    if not is_utf8(text):
        raise typer.BadParameter("not valid UTF-8", param_hint=name)
    return text


def search(
    registry: Registry, inspector: Inspector, text: str, scans: bool, terminal: Terminal
) -> list[StoredRegistration]:
    """Return the registrations found by a scan, after asking for it unless `scans` is true.

    OperatorError if nothing is found, or if nobody can be asked.
    """
    items, scan_in_words = describe_scan(registry)
    if not scans:
        question = f"{NO_KEY} {scan_in_words}"
        if not sys.stdin.isatty():
            raise OperatorError(f"{question}: add --scan")
        terminal.confirm(f"{question}. Scan?", "--scan")
    with meter("Scanning", items) as bar:
        found = list(inspector.search(text, bar.advance))
    if not found:
        raise OperatorError("no registration has this value: give the whole id or token")
    return found


def print_registration(terminal: Terminal, record: Mapping[str, Any]) -> None:
    """Print a registration as `Inspector.describe` returns it, one attribute a line."""
    for line in align(
        (label if not index else "", text) for label, texts in to_lines(record) for index, text in enumerate(texts)
    ):
        terminal.say(line)
