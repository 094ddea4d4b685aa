"""The ready file: tells other programs where a local stack answers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from pushreg_local.errors import OperatorError


@contextmanager
def manage_ready_file(path: Path | None) -> Iterator[Callable[[str, str], None]]:
    """Yield a function that writes the file from the addresses of the API and of DynamoDB; remove the file at the end.

    A file left by a killed stack is removed at once. OperatorError if the file cannot be written or removed.
    """
    if path is None:
        yield lambda address, endpoint: None
        return
    # Removed now, so that a program that waits for this stack does not read the address of the last one.
    _remove(path)
    try:
        yield lambda address, endpoint: _write(path, address, endpoint)
    finally:
        _remove(path)


def _write(path: Path, address: str, endpoint: str) -> None:
    text = json.dumps(
        {
            "address": address,
            "port": urlsplit(address).port,
            "dynamodb_endpoint": endpoint,
            "dynamodb_port": urlsplit(endpoint).port,
            "pid": os.getpid(),
        }
    )
    # Renamed into place, so that a reader sees either no file or the whole file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OperatorError(f"the ready file {path} cannot be written: {error.strerror}") from error


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OperatorError(f"the ready file {path} cannot be removed: {error.strerror}") from error
