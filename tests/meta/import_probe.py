"""Imports modules in a clean interpreter and reports what the import did besides running Python.

Run as a script: the folders to put on the path, then "--", then the modules. It prints a JSON list.
"""

import importlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Read by pydantic whenever a model is declared.
LIBRARY_VARIABLES = {"PYDANTIC_DISABLE_PLUGINS"}
FORBIDDEN = (
    "socket.connect",
    "socket.bind",
    "socket.getaddrinfo",
    "subprocess.Popen",
    "os.system",
    "os.fork",
)


class Probe:
    """Collects what happens on behalf of a file under the roots, told from the stack at the time."""

    def __init__(self, roots: list[str]) -> None:
        self._roots = tuple(f"{Path(root).resolve()}{os.sep}" for root in roots)
        self._readable = (*self._roots, *(f"{Path(prefix).resolve()}{os.sep}" for prefix in _prefixes()))
        self.seen: list[str] = []

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            if not isinstance(path, int) and not self._reads_code(os.fsdecode(path), flags):
                self._note(f"opens {os.fsdecode(path)} ({mode})")
        elif event in FORBIDDEN:
            self._note(event)

    def read_variable(self, name: object) -> None:
        if name not in LIBRARY_VARIABLES:
            self._note(f"reads the environment's {name}")

    def _reads_code(self, path: str, flags: int) -> bool:
        return not flags & (os.O_WRONLY | os.O_RDWR) and os.path.realpath(path).startswith(self._readable)

    def _note(self, deed: str) -> None:
        for frame in _stack():
            if frame.startswith(self._roots):
                self.seen.append(f"{Path(frame).name} {deed}")
                return
            # The import system itself, or a library that is being imported.
            if frame.startswith("<frozen importlib"):
                return


def _prefixes() -> set[str]:
    return {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}


def _stack() -> Iterator[str]:
    frame = sys._getframe()
    while frame := frame.f_back:  # type: ignore[assignment]
        yield frame.f_code.co_filename


def main() -> None:
    split = sys.argv.index("--")
    roots, modules = sys.argv[1:split], sys.argv[split + 1 :]
    sys.path[:0] = roots
    probe = Probe(roots)

    class Watched(type(os.environ)):  # type: ignore[misc]
        def __getitem__(self, name: str) -> str:
            probe.read_variable(name)
            return str(super().__getitem__(name))

    os.environ.__class__ = Watched
    sys.addaudithook(probe.audit)
    for module in modules:
        importlib.import_module(module)
    json.dump(sorted(set(probe.seen)), sys.stdout)


if __name__ == "__main__":
    main()
