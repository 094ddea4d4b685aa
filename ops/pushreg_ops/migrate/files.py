"""The files of an import: its checkpoint, the rejected rows and the superseded registrations."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from pushreg_local.errors import OperatorError

VERSION = 1


@dataclass(slots=True)
class Checkpoint:
    """The state from which an import resumes: `rows` are done, their rejects are the reject file's first bytes.

    `identity` is the source, the registry and all settings that affect what is written; an import with another
    identity does not resume from it.
    """

    identity: Mapping[str, Any]
    epoch: int
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    rows: int = 0
    rejects_size: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path, identity: Mapping[str, Any]) -> Self | None:
        """Return the checkpoint in the file, None without a file; OperatorError if it belongs to another import."""
        try:
            stored = json.loads(path.read_text("utf-8"))
            version = stored.pop("version")
            checkpoint = cls(**stored)
            differing = [name for name, value in identity.items() if checkpoint.identity.get(name) != value]
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise OperatorError(
                f"{path} is not a checkpoint: remove it, or name another folder with --state"
            ) from error
        if version != VERSION or differing:
            raise OperatorError(
                f"{path} is the checkpoint of another import (other {', '.join(differing) or 'version'}):"
                " finish that import with its command, or start over with --restart"
            )
        return checkpoint

    def save(self, path: Path) -> None:
        """Replace the file atomically and durably."""
        replace_file(path, json.dumps({"version": VERSION, **asdict(self)}).encode())


class RejectFile:
    """The file of rejected rows: a JSON line with the reason for each."""

    def __init__(self, path: Path, size: int) -> None:
        # Lines after the checkpoint belong to rows that will be read again.
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise OperatorError(
                f"{path} cannot be written: {error.strerror}: name another folder with --state"
            ) from error
        self._file = os.fdopen(descriptor, "r+b")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise OperatorError(
                f"another import writes to {path}: wait for it, or name another folder with --state"
            ) from error
        self._file.truncate(min(size, os.fstat(descriptor).st_size))
        self._file.seek(0, os.SEEK_END)

    def write(self, line: Mapping[str, Any]) -> None:
        """Add a line."""
        self._file.write(json.dumps(line, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n")

    def sync(self) -> int:
        """Make the lines durable and return the file's size in bytes."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class SupersededFile:
    """The file of registrations that a command removes: a JSON line each, durable before the removal.

    It only grows; a line may repeat, or be for a registration that was not removed in the end. Created on first use.
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
    """Replace the file's content atomically and durably, with mode 0600."""
    with open_replacement(path) as file:
        file.write(content)


@contextmanager
def open_replacement(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file that replaces the path atomically and durably when the block succeeds, with mode 0600."""
    # At most 50 characters of the name: four bytes each, of the 255 that a name may have.
    temporary = path.with_name(f".{path.name[:50]}.{uuid.uuid4().hex[:8]}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            yield file
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
