"""The ready file: tells other programs where a local stack answers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pushreg_local.errors import OperatorError

# In the folder in which the stack was started.
RUNNING = Path(".data", "running.json")


@contextmanager
def manage_ready_file(path: Path | None) -> Iterator[Callable[[str, str], None]]:
    """Yield a function that writes the file from the addresses of the API and of DynamoDB; remove the file at the end.

    A file left by a killed stack is removed at once. OperatorError if the file cannot be written or removed.
    """
    if path is None:
        yield lambda address, endpoint: None
        return
    if not path.parent.is_dir():
        raise OperatorError(f"the ready file {path} cannot be written: {path.parent} is not a folder")
    # Removed now, so that a program that waits for this stack does not read the address of the last one.
    _remove(path)
    try:
        yield lambda address, endpoint: _write(path, address, endpoint)
    finally:
        _remove(path)


@contextmanager
def note_running(folder: Path) -> Iterator[Callable[[str, str], None]]:
    """Yield a function that notes in the stack's folder where it answers, for `find_running`.

    Of two stacks in one folder, the later one is found.
    """
    path = folder / RUNNING

    def write(address: str, endpoint: str) -> None:
        # A convenience: a stack in a folder that is read-only runs all the same.
        with suppress(OSError, OperatorError):
            path.parent.mkdir(exist_ok=True)
            _write(path, address, endpoint)

    try:
        yield write
    finally:
        if (_read(path) or {}).get("pid") == os.getpid():
            with suppress(OSError):
                path.unlink()


def find_running(folder: Path) -> dict[str, Any] | None:
    """Return what the ready file of the folder's running stack says, None if none runs."""
    ready = _read(folder / RUNNING)
    if ready is None or not all(isinstance(ready.get(name), str) for name in ("address", "dynamodb_endpoint")):
        return None
    try:
        os.kill(ready["pid"], 0)
    except PermissionError:
        # Another user's process.
        return ready
    except (OSError, KeyError, TypeError, OverflowError):
        return None
    return ready


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


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
