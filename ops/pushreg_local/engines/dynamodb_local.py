"""Amazon's DynamoDB Local as a child process on the loopback address, with its data in a folder."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from pushreg_local.client import connect_endpoint, is_answering
from pushreg_local.engines import HOST, java_class
from pushreg_local.engines.bundle import JAR, LIBRARIES, VERSION
from pushreg_local.engines.java import Java
from pushreg_local.errors import EngineError, OperatorError

START_SECONDS = 60.0
STOP_SECONDS = 10.0
# CORS: no page of another site may read the data.
_ORIGIN = f"http://{HOST}"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1


class DynamoDbLocal:
    """One Java process and the lock on its data."""

    def __init__(self, port: int, data: Path, java: Java, bundle: Path) -> None:
        self._port = port
        self._data = data
        self._java = java
        self._bundle = bundle
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """The address that clients use."""
        return f"http://{HOST}:{self._port}"

    @property
    def description(self) -> str:
        """What it is and where its data is."""
        return f"DynamoDB Local {VERSION} on {self.endpoint}, data kept in {self._data}"

    def start(self) -> None:
        """Start Java; OperatorError if another stack has the data open."""
        self._data.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self._data)
        (self._data / f"{java_class.NAME}.class").write_bytes(java_class.write_class(HOST, _ORIGIN))
        with self._log.open("wb") as log:
            # Block signals: an exception between fork and assignment would orphan the child.
            signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
            try:
                self._process = subprocess.Popen(  # noqa: S603
                    self._command(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    # In its own session, so that Ctrl-C reaches only the gateway, which still needs the database.
                    start_new_session=True,
                    preexec_fn=_prepare_child(),
                )
            except OSError as error:
                raise EngineError(f"{self._java.path} cannot be started: {error.strerror}") from error
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def wait(self) -> None:
        """Wait until tables can be listed, that is, until the native library is loaded."""
        client = connect_endpoint(self.endpoint)
        deadline = time.monotonic() + START_SECONDS
        while not is_answering(client):
            if self._process is None or self._process.poll() is not None:
                raise EngineError(f"DynamoDB Local exited during start-up: {self._read_reason()}")
            if time.monotonic() > deadline:
                raise EngineError(f"DynamoDB Local did not answer in {START_SECONDS:.0f} s: {self._read_reason()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop Java, by force if necessary, and release the lock on the data."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @property
    def _log(self) -> Path:
        return self._data / "dynamodb-local.log"

    def _command(self) -> list[str]:
        # Fast compiler and serial collector: 2.3 s of CPU until the first response instead of 4.2 s, and half the CPU
        # of the first thousand calls.
        options = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        options.append(f"-Dsqlite4java.library.path={self._bundle / LIBRARIES}")
        if self._java.version >= 22:
            # JEP 472: newer versions warn about native code without it, and later ones will refuse.
            options.append("--enable-native-access=ALL-UNNAMED")
        classes = ["-cp", os.pathsep.join((str(self._bundle / JAR), str(self._data))), java_class.NAME]
        return [str(self._java.path), *options, *classes, str(self._port), str(self._data.resolve())]

    def _read_reason(self) -> str:
        lines = [line for line in self._log.read_text("utf-8", "replace").splitlines() if line.strip()]
        errors = [line for line in lines if "Error" in line or "Exception" in line] or lines
        return f"{errors[0].strip() if errors else 'no output'} (see {self._log})"


def _lock(data: Path) -> IO[str]:
    lock = (data / "lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise OperatorError(
            f"another local stack is using {data}: stop it, or start this one in another folder"
        ) from error
    return lock


def _prepare_child() -> Callable[[], None]:
    """Return the child's preparation before exec: unblock signals, and on Linux die with its parent."""
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
    parent = os.getpid()

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)

    return prepare
