"""How far an import has come, in a file that is whole at every instant, and the file of what it could not take."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from pushreg_local.errors import OperatorError

VERSION = 1


@dataclass(slots=True)
class Checkpoint:
    """What a resumed import must know; `rows` are done with, their refusals are the first bytes of the reject file.

    `identity` is the source, the registry and whatever decides what is written: another import does not resume it.
    """

    identity: Mapping[str, Any]
    epoch: int
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    rows: int = 0
    refusals_size: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path, identity: Mapping[str, Any]) -> Self | None:
        """Return the checkpoint in the file, None if there is none; OperatorError if it is another import's."""
        try:
            stored = json.loads(path.read_text("utf-8"))
            version = stored.pop("version")
            checkpoint = cls(**stored)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise OperatorError(f"{path} is no checkpoint: remove it, or name another --state") from error
        differing = [name for name, value in identity.items() if checkpoint.identity.get(name) != value]
        if version != VERSION or differing:
            raise OperatorError(
                f"{path} is the checkpoint of another import (other {', '.join(differing) or 'version'}):"
                " finish that with the same command, or begin anew with --restart"
            )
        return checkpoint

    def save(self, path: Path) -> None:
        """Replace the file by the present state, durably and all at once."""
        replace_file(path, json.dumps({"version": VERSION, **asdict(self)}).encode())


class RejectFile:
    """The reject file: one JSON line for each row that was not taken."""

    def __init__(self, path: Path, size: int) -> None:
        # Lines beyond the checkpoint belong to rows that will be read again.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(descriptor, "r+b")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise OperatorError(f"another import writes to {path}: wait for it, or name another --state") from error
        self._file.truncate(min(size, os.fstat(descriptor).st_size))
        self._file.seek(0, os.SEEK_END)

    def write(self, line: Mapping[str, Any]) -> None:
        """Add a line."""
        self._file.write(json.dumps(line, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n")

    def sync(self) -> int:
        """Make the lines durable and return how many bytes they are."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class SupersededFile:
    """The file of registrations that an import removes: a JSON line for each, durable before it goes.

    It only grows; a line may repeat, or stand for one that was not removed after all. Made when there is need of it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def write(self, line: Mapping[str, Any]) -> None:
        """Add a line and make it durable."""
        with self._lock:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())


def replace_file(path: Path, content: bytes) -> None:
    """Put the content at the path, readable by its owner alone; a crash leaves the old content or the new."""
    write_file(path, lambda file: file.write(content))


def write_file(path: Path, write: Callable[[Any], Any]) -> None:
    """Let `write` fill the file at the path, readable by its owner alone, which appears there when it is whole."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
