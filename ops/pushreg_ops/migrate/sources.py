"""Rows out of files, one after the other, however long the file is."""

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

# Longer lines than any registration makes are no JSON Lines.
MAX_LINE = 1024 * 1024
SNIFF_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One row: what it says, or why that cannot be read; `position` is how far into the source it ends."""

    content: Any
    position: int
    fault: str | None = None


class Source(Protocol):
    """Where rows come from, in an order that is the same each time."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    @property
    def size(self) -> int | None:
        """The position at its end, None if that is not known beforehand."""

    @property
    def fingerprint(self) -> str:
        """What changes when another source, or another state of this one, is read."""

    def read(self, skip: int) -> Iterator[Row]:
        """Yield the rows after the first `skip`; OperatorError if the source is broken."""


class FileSource:
    """Files read one after the other; `member` names the array that a JSON document in them keeps its rows in."""

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
        """A digest over the length and the beginning of each file."""
        parts = [hashlib.sha256(head).hexdigest() for head in self._heads]
        return hashlib.sha256(repr([*zip(self._sizes, parts, strict=True)]).encode()).hexdigest()

    def read(self, skip: int) -> Iterator[Row]:
        """Yield the rows after the first `skip`; OperatorError where a file ends too early or cannot be read."""
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
    """Whether the file has a row on each line, and is not a document with all of them in its member."""
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
            yield Row(line.decode("utf-8", "replace").rstrip("\r\n"), position, f"no JSON: {error.reason}")


def _lines(file: IO[bytes], path: Path, *, blank: bool = False) -> Iterator[bytes]:
    while line := file.readline(MAX_LINE):
        if len(line) == MAX_LINE and not line.endswith(b"\n"):
            raise OperatorError(f"{path} has a line of more than {MAX_LINE} bytes: it is no JSON Lines file, nor CSV")
        if blank or line.strip():
            yield line


def _read_array(file: IO[bytes], path: Path, member: str) -> Iterator[Row]:
    counted = _Counted(file)
    # Several documents may follow each other, as pages do that were fetched into one file.
    rows: Iterator[Any] = ijson.items(counted, f"{member}.item", multiple_values=True)
    try:
        for content in rows:
            yield Row(content, counted.position)
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise OperatorError(f"{path} is broken or cut off near byte {counted.position}: {error}") from error


class _Counted:
    """A file that knows how far it was read; to ask the system for each row would take longer than to read it."""

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
        raise OperatorError(f"{path} is no CSV in UTF-8: {error}") from error
