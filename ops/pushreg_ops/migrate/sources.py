"""Streams rows from files of any size."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import ijson  # type: ignore[import-untyped]  # It has no annotations.

from pushreg.codecs import json
from pushreg.errors import MalformedError
from pushreg_local.errors import OperatorError

# Longer than the line of any registration.
MAX_LINE = 1024 * 1024
SNIFF_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its content, or the fault that makes it unreadable; `position` is where it ends in the source."""

    content: Any
    position: int
    fault: str | None = None


class Source(Protocol):
    """A source of rows in a stable order."""

    @property
    def name(self) -> str:
        """Its name in messages."""

    @property
    def size(self) -> int | None:
        """The position at its end; None if unknown."""

    @property
    def fingerprint(self) -> str:
        """A value that differs for other sources and for other contents."""

    def read(self, skip: int) -> Iterator[Row]:
        """Yield the rows after the first `skip`; OperatorError if the source is malformed."""


class FileSource:
    """Reads files one after the other; `member` names the array of a JSON document that holds the rows."""

    def __init__(self, paths: Sequence[Path], member: str | None = None) -> None:
        self._paths = paths
        self._member = member
        try:
            self._sizes = [path.stat().st_size for path in paths]
            heads = [_read_head(path) for path in paths]
        except OSError as error:
            raise OperatorError(f"{error.filename} cannot be read: {error.strerror}") from error
        self._heads = heads

    @property
    def name(self) -> str:
        """The names of the files."""
        return ", ".join(str(path) for path in self._paths)

    @property
    def size(self) -> int | None:
        """The bytes of all files."""
        return sum(self._sizes)

    @property
    def fingerprint(self) -> str:
        """A digest of the length and the first bytes of each file."""
        parts = [hashlib.sha256(head).hexdigest() for head in self._heads]
        return hashlib.sha256(repr([*zip(self._sizes, parts, strict=True)]).encode()).hexdigest()

    def read(self, skip: int) -> Iterator[Row]:
        """Yield the rows after the first `skip`; OperatorError if a file is truncated or cannot be read."""
        before = 0
        for path, size, head in zip(self._paths, self._sizes, self._heads, strict=True):
            read = 0
            try:
                with path.open("rb") as file:
                    for row in self._read_file(file, path, head, skip):
                        read += 1
                        if read > skip:
                            yield Row(row.content, before + row.position, row.fault)
            except OSError as error:
                raise OperatorError(f"{path} cannot be read: {error.strerror}") from error
            skip = max(0, skip - read)
            before += size

    def _read_file(self, file: IO[bytes], path: Path, head: bytes, skip: int) -> Iterator[Row]:
        if path.suffix.lower() == ".csv":
            return _read_csv(file, path)
        if self._member is not None and not _is_lines(head, self._member):
            return _read_array(file, path, self._member)
        return _read_lines(file, path, skip)


def _read_head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(SNIFF_BYTES)


def _is_lines(head: bytes, member: str) -> bool:
    """Whether the file has one row per line, rather than one document with all rows in its member."""
    lines = head.lstrip().splitlines()
    try:
        first = json.decode(lines[0]) if lines else {}
    except MalformedError:
        return False
    return isinstance(first, dict) and member not in first


def _read_lines(file: IO[bytes], path: Path, skip: int) -> Iterator[Row]:
    position = 0
    for number, line in enumerate(_lines(file, path)):
        position += len(line)
        if number < skip:
            yield Row(None, position)
            continue
        try:
            yield Row(json.decode(line), position)
        except MalformedError as error:
            yield Row(line.decode("utf-8", "replace").rstrip("\r\n"), position, f"not JSON: {error.reason}")


def _lines(file: IO[bytes], path: Path, *, blank: bool = False) -> Iterator[bytes]:
    while line := file.readline(MAX_LINE):
        if len(line) == MAX_LINE and not line.endswith(b"\n"):
            raise OperatorError(f"{path} has a line of more than {MAX_LINE} bytes: it is neither JSON Lines nor CSV")
        if blank or line.strip():
            yield line


def _read_array(file: IO[bytes], path: Path, member: str) -> Iterator[Row]:
    counted = _Counted(file)
    # A file may hold several documents, such as concatenated pages.
    rows: Iterator[Any] = ijson.items(counted, f"{member}.item", multiple_values=True)
    try:
        for content in rows:
            yield Row(content, counted.position)
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise OperatorError(f"{path} is broken or cut off near byte {counted.position}: {error}") from error


class _Counted:
    """A file that counts the bytes read; calling tell() for each row would be slower than reading it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.position = 0

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        content = self._file.read(size)
        self.position += len(content)
        return content


def _read_csv(file: IO[bytes], path: Path) -> Iterator[Row]:
    position = 0

    def decode() -> Iterator[str]:
        nonlocal position
        for line in _lines(file, path, blank=True):
            text = line.decode("utf-8-sig" if not position else "utf-8")
            position += len(line)
            yield text

    try:
        for content in csv.DictReader(decode(), restkey="", strict=True):
            fault = "more fields than the header names" if content.pop("", None) else None
            yield Row(content, position, fault)
    except (csv.Error, UnicodeDecodeError) as error:
        raise OperatorError(f"{path} is not CSV in UTF-8: {error}") from error
