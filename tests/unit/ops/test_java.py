import stat
from pathlib import Path

import pytest

from pushreg_local.engines.java import find_java
from pushreg_local.errors import EngineError


def install(folder: Path, script: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "java"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def say(version: str) -> str:
    return f"echo 'openjdk version \"{version}\" 2025-01-01' >&2"


@pytest.mark.parametrize(("text", "version"), [("17.0.15", 17), ("25", 25), ("21-ea", 21)])
def test_find_java_on_path_returns_path_and_version(text: str, version: int, tmp_path: Path) -> None:
    path = install(tmp_path, say(text))
    found = find_java({"PATH": str(tmp_path)})
    assert (found.path, found.version) == (path, version)


def test_find_java_prefers_java_home(tmp_path: Path) -> None:
    install(tmp_path / "path", say("17"))
    home = install(tmp_path / "home" / "bin", say("21"))
    assert find_java({"PATH": str(tmp_path / "path"), "JAVA_HOME": str(tmp_path / "home")}).path == home


def test_find_java_skips_version_that_is_too_old(tmp_path: Path) -> None:
    install(tmp_path / "home" / "bin", say("1.8.0_422"))
    good = install(tmp_path / "path", say("17"))
    environ = {"JAVA_HOME": str(tmp_path / "home"), "PATH": str(tmp_path / "path")}
    assert find_java(environ).path == good


@pytest.mark.parametrize(
    ("script", "reason"),
    [(say("1.8.0_422"), "is Java 8"), ("echo install one >&2; exit 1", "does not run"), ("exit 0", "does not run")],
)
def test_find_java_failure_names_reason(script: str, reason: str, tmp_path: Path) -> None:
    install(tmp_path, script)
    with pytest.raises(EngineError, match=reason):
        find_java({"PATH": str(tmp_path)}, package="no_such_package")


def test_find_java_falls_back_to_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "some_runtime"
    path = install(package / "java-runtime" / "bin", say("25.0.2"))
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_java({"PATH": str(tmp_path / "empty")}, package="some_runtime").path == path
