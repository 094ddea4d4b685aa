"""Streams rows from files of any size."""

from __future__ import annotations

import codecs
import csv
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import InvalidOperation
from pathlib import Path
from typing import IO, Any, Protocol

import ijson  # type: ignore[import-untyped]  # It has no annotations.

from pushreg.codecs import json
from pushreg.errors import MalformedError
from pushreg_local.errors import OperatorError
from pushreg_ops.migrate.formats.places import PLACE_NAMES, TOKEN_NAMES
from pushreg_ops.migrate.streams import Input, explain_input, find_descriptor

# Longer than the line of any registration.
MAX_LINE = 1024 * 1024
# Python's limit for integers in text.
MAX_DIGITS = 4300
_LONG_NUMBER = re.compile(rb"[0-9]{%d}" % (MAX_DIGITS + 1))
_CSV_HEADER = re.compile(rb'(\xef\xbb\xbf)?["a-z_,; \t]*(place_id|device_token)["a-z_,; \t]*\r?\n', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its content, or the fault that makes it unreadable; `position` is where it ends in the source.

    `line` is the line of its file on which it ends, from 1; None if rows have no lines of their own.
    """

    content: Any
    position: int
    fault: str | None = None
    line: int | None = None


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
    """Reads files, pipes and standard input one after the other.

    `member` names the array of a JSON document that holds the rows.
    """

    def __init__(self, paths: Sequence[Path], member: str | None = None) -> None:
        self._member = member
        descriptors = [each for each in map(find_descriptor, paths) if each is not None]
        if len(set(descriptors)) < len(descriptors):
            raise OperatorError("standard input, or another open stream, is named twice: it can be read only once")
        self._inputs = [Input(path) for path in paths]
        for each in self._inputs:
            _check_encoding(each)

    @property
    def name(self) -> str:
        """The names of the files."""
        return ", ".join(each.name for each in self._inputs)

    @property
    def size(self) -> int | None:
        """The bytes of all files, None if one is compressed or a pipe."""
        sizes = [each.size for each in self._inputs if each.size is not None]
        return sum(sizes) if len(sizes) == len(self._inputs) else None

    @property
    def fingerprint(self) -> str:
        """A digest of the length and the first bytes of each file."""
        parts = [(each.size, hashlib.sha256(each.head).hexdigest()) for each in self._inputs]
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @property
    def head(self) -> bytes:
        """The first bytes of the first file."""
        return self._inputs[0].head

    def read(self, skip: int) -> Iterator[Row]:
        """Yield the rows after the first `skip`; OperatorError if a file is truncated or cannot be read."""
        before = 0
        for source in self._inputs:
            read = 0
            with explain_input(source.path), source.open() as file:
                for row in self._read_file(file, source, skip):
                    read += 1
                    if read > skip:
                        yield replace(row, position=before + row.position)
            skip = max(0, skip - read)
            before += source.size or 0

    def _read_file(self, file: IO[bytes], source: Input, skip: int) -> Iterator[Row]:
        if _is_csv(source):
            return _read_csv(file, source.name)
        if self._member is not None and not _is_lines(source.head, self._member):
            return _read_array(file, source.name, self._member)
        if _is_document(source.head):
            raise OperatorError(
                f"{source.name} is one JSON document, not JSON Lines: write each row on a line of its own, such as with"
                " `jq -c '.[]'` for an array or `jq -c .` for objects on several lines"
            )
        return _read_lines(file, source.name, skip)


def _is_csv(source: Input) -> bool:
    name = source.path.name.lower()
    # What comes through a pipe has no name.
    return name.endswith((".csv", ".csv.gz")) or (not source.is_file and _CSV_HEADER.match(source.head) is not None)


def _check_encoding(source: Input) -> None:
    """Raise OperatorError if the content is not UTF-8 but text in a known encoding."""
    if source.head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise OperatorError(f"{source.name} is UTF-16: convert it, such as with `iconv -f UTF-16 -t UTF-8`")


def _is_document(head: bytes) -> bool:
    """Whether the file is a JSON array, or an object that goes on after its first line."""
    first = head.removeprefix(codecs.BOM_UTF8).lstrip().partition(b"\n")[0].strip()
    return first.startswith(b"[") or first == b"{"


def _is_lines(head: bytes, member: str) -> bool:
    """Whether the file has one row per line, rather than one document with all rows in its member."""
    lines = head.lstrip().splitlines()
    try:
        first = json.decode(lines[0]) if lines else {}
    except MalformedError:
        return False
    return isinstance(first, dict) and member not in first


def _read_lines(file: IO[bytes], path: str, skip: int) -> Iterator[Row]:
    position = 0
    number = 0
    for line_number, line in enumerate(_lines(file, path), start=1):
        position += len(line)
        if not line.strip():
            continue
        number += 1
        if number <= skip:
            yield Row(None, position)
            continue
        try:
            yield Row(json.decode(line), position, line=line_number)
        except MalformedError as error:
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            yield Row(text, position, f"not JSON: {error.reason}", line_number)


def _lines(file: IO[bytes], path: str) -> Iterator[bytes]:
    while line := file.readline(MAX_LINE):
        if len(line) == MAX_LINE and not line.endswith(b"\n"):
            raise OperatorError(f"{path} has a line of more than {MAX_LINE} bytes: it is neither JSON Lines nor CSV")
        yield line


def _read_array(file: IO[bytes], path: str, member: str) -> Iterator[Row]:
    counted = _Counted(file, path)
    # A file may hold several documents, such as concatenated pages.
    rows: Iterator[Any] = ijson.items(counted, f"{member}.item", multiple_values=True)
    try:
        for content in rows:
            yield Row(content, counted.position)
    except (ijson.JSONError, UnicodeDecodeError, InvalidOperation) as error:
        raise OperatorError(f"{path} is broken or cut off near byte {counted.position}: {error}") from error


class _Counted:
    """A file that counts the bytes read; calling tell() for each row would be slower than reading it."""

    def __init__(self, file: IO[bytes], path: str) -> None:
        self._file = file
        self._path = path
        self._last = b""
        self.position = 0

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; OperatorError if they hold a number that Python does not read."""
        content = self._file.read(size)
        self.position += len(content)
        # It would crash the process: ijson 3.6.0 does not check whether Python made an integer of it.
        if _LONG_NUMBER.search(self._last + content):
            raise OperatorError(
                f"{self._path} has a number of more than {MAX_DIGITS:,} digits near byte {self.position}"
            )
        self._last = content[-MAX_DIGITS:]
        return content


def _read_csv(file: IO[bytes], path: str) -> Iterator[Row]:
    position = 0

    def decode() -> Iterator[str]:
        nonlocal position
        for line in _lines(file, path):
            text = line.decode("utf-8-sig" if not position else "utf-8")
            position += len(line)
            yield text

    try:
        reader = csv.DictReader(decode(), restkey="", strict=True)
        names = reader.fieldnames or ()
        if names and not (any(each in names for each in PLACE_NAMES) and any(each in names for each in TOKEN_NAMES)):
            raise OperatorError(f"{path} does not begin with the names of its columns: place_id,device_token")
        for content in reader:
            fault = "more fields than the header names" if content.pop("", None) else None
            yield Row(content, position, fault, reader.line_num)
    except (csv.Error, UnicodeDecodeError) as error:
        raise OperatorError(f"{path} is not CSV in UTF-8: {error}") from error


def recognize(head: bytes) -> str | None:
    """Return the --from format of another server that the first bytes belong to, None if they may be our own."""
    if _CSV_HEADER.match(head):
        return "places"
    start = head[:4096].lstrip()
    if re.match(rb'\{\s*"(total_rows|rows|offset)"', start):
        return "kazoo"
    if re.match(rb'\{\s*("(total|start|pageSize)"\s*:\s*\d+\s*,\s*)*"subscribers"', start):
        return "engagement"
    lines = start.splitlines()
    try:
        first = json.decode(lines[0]) if lines else None
    except MalformedError:
        return None
    if not isinstance(first, dict) or "family" in first:
        return None
    if {"place_id", "device_token"} <= first.keys():
        return "places"
    return "kazoo" if "doc" in first or "pvt_type" in first else None
