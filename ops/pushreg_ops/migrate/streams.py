"""The user's own files: streams to read, compressed or not, and outputs that are replaced once they are complete."""

from __future__ import annotations

import gzip
import io
import os
import stat
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from pushreg_local.errors import OperatorError, explain_os_error
from pushreg_ops.migrate.files import open_replacement

STANDARD = Path("-")
SNIFF_BYTES = 64 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
# As many as Linux follows.
_MAX_LINKS = 40


class PeekedStream(io.RawIOBase):
    """A stream whose first bytes, `head`, were read ahead."""

    def __init__(self, file: IO[bytes], *below: IO[bytes]) -> None:
        self._files = (file, *below)
        self._file = file
        self.head = file.read(SNIFF_BYTES)
        self._rest = memoryview(self.head)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read bytes into the buffer and return how many."""
        content = self._rest[: len(buffer)] or self._file.read(len(buffer))
        buffer[: len(content)] = content
        self._rest = self._rest[len(content) :]
        return len(content)

    def close(self) -> None:
        """Close the streams below, too."""
        for file in self._files:
            file.close()
        super().close()


class Input:
    """One file, pipe or standard input (`-`), decompressed if its content is gzip.

    `size` is None unless it is a plain file; `head` has its first bytes. Only a file can be opened twice.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size: int | None = None
        self._stream: PeekedStream | None = None
        with explain_input(path):
            stream, self.is_compressed = self._open()
            self.head = stream.head
            self.is_file = find_descriptor(path) is None and path.is_file()
            if self.is_file:
                stream.close()
                self.size = None if self.is_compressed else path.stat().st_size
            else:
                self._stream = stream

    @property
    def name(self) -> str:
        """Its name in messages."""
        return "standard input" if self.path == STANDARD else str(self.path)

    def open(self) -> IO[bytes]:
        """Return the content from its start."""
        stream = self._stream or self._open()[0]
        self._stream = None
        return cast("IO[bytes]", io.BufferedReader(stream, SNIFF_BYTES))

    def _open(self) -> tuple[PeekedStream, bool]:
        descriptor = find_descriptor(self.path)
        # A descriptor is read from where it is; opened by its path, a file would be read from its start.
        stream = PeekedStream(self.path.open("rb") if descriptor is None else os.fdopen(os.dup(descriptor), "rb"))
        if not stream.head.startswith(_GZIP_MAGIC):
            return stream, False
        raw = cast("IO[bytes]", io.BufferedReader(stream, SNIFF_BYTES))
        return PeekedStream(cast("IO[bytes]", gzip.GzipFile(fileobj=raw)), raw), True


def find_descriptor(path: Path) -> int | None:
    """Return the descriptor of the open stream that the path leads to: 0 for `-` and /dev/stdin; None for other files.

    Such a stream is used as it is: opening its path again would read or write a file from its start, and replacing what
    the path leads to would not reach whoever has it open.
    """
    if path == STANDARD:
        return 0
    for _ in range(_MAX_LINKS):
        if path.name.isdecimal() and path.parent.resolve() in (Path(f"/proc/{os.getpid()}/fd"), Path("/dev/fd")):
            return int(path.name)
        if not path.is_symlink():
            return None
        path = path.parent / path.readlink()
    return None


@contextmanager
def explain_input(path: Path) -> Iterator[None]:
    """Convert failures to read the path into OperatorError."""
    name = "standard input" if path == STANDARD else path
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise OperatorError(f"{name} is a broken or truncated gzip file") from error
    except OSError as error:
        raise OperatorError(f"{name} cannot be read: {explain_os_error(error)}") from error


@contextmanager
def open_output(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file for what the path is to hold; OperatorError, before the block runs, if it cannot be written.

    A regular or absent file is replaced when the block succeeds, at the end of symbolic links; pipes, character devices
    and open streams such as /dev/stdout are written to; `-` is standard output. A name that ends with `.gz` compresses.
    """
    try:
        with _open_raw(path) as raw:
            if path.suffix.lower() != ".gz":
                yield raw
                raw.flush()
                return
            # Without a time, so that equal exports are equal files.
            with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as file:
                yield cast("IO[bytes]", file)
    except BrokenPipeError as error:
        _discard_standard_output()
        raise OperatorError("whoever read the output has closed it: the export is not complete") from error
    except OSError as error:
        name = "standard output" if path == STANDARD else path
        raise OperatorError(f"{name} cannot be written: {explain_os_error(error)}") from error


@contextmanager
def _open_raw(path: Path) -> Iterator[IO[bytes]]:
    if path == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        mode: int | None = path.stat().st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and stat.S_ISBLK(mode):
        raise OperatorError(f"{path} is a block device: name a file")
    descriptor = find_descriptor(path)
    if descriptor is not None or (mode is not None and not stat.S_ISREG(mode)):
        # Without O_CREAT and O_TRUNC: what is there is written to as it is. A folder raises IsADirectoryError.
        opened = os.open(path, os.O_WRONLY | os.O_CLOEXEC) if descriptor is None else os.dup(descriptor)
        with os.fdopen(opened, "wb") as file:
            yield file
        return
    target = Path(os.path.realpath(path))
    if mode is not None and not os.access(target, os.W_OK):
        raise OperatorError(f"{path} is read-only: make it writable, or name another file")
    with open_replacement(target) as file:
        yield file


def _discard_standard_output() -> None:
    # At exit Python flushes it once more, which would print a second error.
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 1)
    finally:
        os.close(null)
