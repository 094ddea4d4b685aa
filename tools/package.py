"""Checks what `sam build` made: all that Lambda needs and nothing else, one architecture, valid bytecode, small."""

from __future__ import annotations

import _imp
import importlib.metadata
import io
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import snapshot_restore_py

from pushreg_local.errors import OperatorError
from pushreg_local.template import FILE_NAME, Function, load_template

# What each layer holds: the packages of a lock, and beside them code of our own.
LOCKS = {"CommonLayer": "layers/common/requirements.txt", "TokensLayer": "layers/tokens/requirements.txt"}
OWN_PACKAGES = {"CommonLayer": {"pushreg"}}
TOKENS_LAYER = "TokensLayer"
# Bytes of a function with its layers, unpacked and zipped (docs/performance.md).
MAX_SIZE = (25_000_000, 8_500_000)
MAX_SIZE_WITH_TOKENS = (41_000_000, 13_600_000)
# The machine's number in an ELF header (ELF-64 object file format, e_machine).
MACHINES = {"arm64": 183, "x86_64": 62}
HOSTS = {"aarch64": "arm64", "x86_64": "x86_64"}
# CPython 3.13's: other versions would compile everything again, at every cold start.
MAGIC = (3571).to_bytes(2, "little") + b"\r\n"
TAG = "cpython-313"
# Hash-based and never compared with the source (PEP 552).
UNCHECKED = 1
UNWANTED_FOLDERS = {"bin", "test", "tests", "testing"}
SUFFIXES = {".py", ".pyc", ".so", ".json", ".gz", ".pem"}
# What functions/Makefile adds to the code.
SETTINGS = "settings"
RECORD = re.compile(r"METADATA|LICEN[CS]E.*|NOTICE.*|COPYING.*|AUTHORS.*")

_PROBE = """
import importlib, importlib.util, sys
runtime, module, verifies, *sys.path[:0] = sys.argv[1:]
spec = importlib.util.spec_from_file_location("snapshot_restore_py", runtime)
sys.modules[spec.name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules[spec.name])
importlib.import_module(module).handler.prepare()
if verifies:
    importlib.import_module("jwt").get_algorithm_by_name("RS256")
"""


@dataclass(frozen=True, slots=True)
class Build:
    """The folder that `sam build` filled."""

    folder: Path
    architecture: str
    functions: tuple[Function, ...]

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers of the functions, in their order."""
        return tuple(dict.fromkeys(name for function in self.functions for name in function.layers))

    def packages(self, layer: str) -> Path:
        """Return where the layer's packages are."""
        return self.folder / layer / "python"

    def parts(self) -> Iterator[Path]:
        """Yield the folders that become an archive each."""
        yield from (self.folder / name for name in self.layers)
        yield from (self.folder / function.name for function in self.functions)


def load_build(folder: Path) -> Build:
    """Return the build in the folder; OperatorError if there is none, or none for a processor of Lambda's."""
    path = folder / FILE_NAME
    if not path.is_file():
        raise OperatorError(f"no build in {folder}; run: make build")
    # The built template keeps the parameter, so what the layer was built for is read from its first compiled module.
    library = next(iter(sorted((folder / "CommonLayer").rglob("*.so"))), None)
    architecture = None if library is None else _read_architecture(library)
    if architecture is None:
        raise OperatorError(f"{library or folder / 'CommonLayer'}: no module compiled for {' or '.join(MACHINES)}")
    return Build(folder, architecture, load_template(path.read_text(encoding="utf-8")).functions)


def read_locks(project: Path) -> dict[str, str]:
    """Return the lock of each layer."""
    return {layer: (project / lock).read_text(encoding="utf-8") for layer, lock in LOCKS.items()}


def find_faults(build: Build, locks: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each thing in the build that is missing, stale, foreign or too big; `locks` by layer."""
    for part in build.parts():
        for path in sorted(path for path in part.rglob("*") if path.is_file()):
            fault = _fault(path, path.relative_to(part), build.architecture)
            if fault is not None:
                yield f"{path.relative_to(build.folder)}: {fault}"
    for layer in build.layers:
        yield from _package_faults(build, layer, locks[layer])
    for function in build.functions:
        package = function.module.partition(".")[0]
        entries = {path.name for path in (build.folder / function.name).iterdir()}
        if entries != {package, SETTINGS}:
            yield f"{function.name}: wanted {package} and {SETTINGS}, found {', '.join(sorted(entries)) or 'nothing'}"
    sizes = measure_build(build)
    for function in build.functions:
        unpacked, zipped = sizes[function.name]
        max_unpacked, max_zipped = MAX_SIZE_WITH_TOKENS if TOKENS_LAYER in function.layers else MAX_SIZE
        if unpacked > max_unpacked or zipped > max_zipped:
            yield f"{function.name} and its layers: {unpacked:,} bytes, {zipped:,} zipped, is over the target"


def _package_faults(build: Build, layer: str, lock: str) -> Iterator[str]:
    wanted = _importable(lock) | OWN_PACKAGES.get(layer, set())
    # A compiled module's name goes on with the Python and the platform that it is for.
    found = {
        path.name.partition(".")[0]
        for path in build.packages(layer).iterdir()
        if not path.name.endswith((".dist-info", "__pycache__"))
    }
    yield from (f"{layer}: {name} is not in its requirements.txt" for name in sorted(found - wanted))
    yield from (f"{layer}: {name} is missing" for name in sorted(wanted - found))


def _fault(path: Path, name: Path, architecture: str) -> str | None:
    if UNWANTED_FOLDERS.intersection(name.parts[:-1]):
        return "of no use in Lambda"
    if any(part.endswith(".dist-info") for part in name.parts):
        # Licences may stand in folders of their own.
        return None if RECORD.fullmatch(name.name) or "licenses" in name.parts else "of no use in Lambda"
    if path.suffix not in SUFFIXES and not RECORD.fullmatch(name.name) and name != Path(SETTINGS):
        return "of no use in Lambda"
    if path.suffix == ".so" and _read_architecture(path) != architecture:
        return f"not for {architecture}"
    if path.suffix == ".py":
        return _bytecode_fault(path)
    if path.suffix == ".pyc" and not (path.parents[1] / f"{path.name.split('.')[0]}.py").is_file():
        return "bytecode without its source"
    return None


def _read_architecture(library: Path) -> str | None:
    header = library.read_bytes()[:20]
    machine = int.from_bytes(header[18:20], "little")
    return next((name for name, number in MACHINES.items() if header[:4] == b"\x7fELF" and number == machine), None)


def _bytecode_fault(source: Path) -> str | None:
    compiled = source.parent / "__pycache__" / f"{source.stem}.{TAG}.pyc"
    if not compiled.is_file():
        return "no bytecode"
    header = compiled.read_bytes()[:16]
    if header[:4] != MAGIC:
        return "bytecode of another Python than 3.13"
    if int.from_bytes(header[4:8], "little") != UNCHECKED:
        return "bytecode that is compared with its source at every start"
    # importlib.util.source_hash is keyed with the running Python's magic number, which may be another.
    if header[8:] != _imp.source_hash(int.from_bytes(MAGIC, "little"), source.read_bytes()):
        return "stale bytecode"
    return None


def _importable(lock: str) -> set[str]:
    """Return the top-level names that the pinned distributions, installed beside this code, bring along."""
    pinned = {_normalize(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE)}
    providers = importlib.metadata.packages_distributions()
    return {
        name
        for name, distributions in providers.items()
        if not name.endswith("__pycache__") and pinned.intersection(map(_normalize, distributions))
    }


def _normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def measure_build(build: Build) -> dict[str, tuple[int, int]]:
    """Return the bytes of each layer, and of each function with its layers, unpacked and zipped."""
    parts = {part.name: measure(part) for part in build.parts()}
    sizes = {layer: parts[layer] for layer in build.layers}
    for function in build.functions:
        unpacked, zipped = zip(*(parts[name] for name in (function.name, *function.layers)), strict=True)
        sizes[function.name] = sum(unpacked), sum(zipped)
    return sizes


def measure(folder: Path) -> tuple[int, int]:
    """Return the bytes of a folder's files, unpacked and zipped."""
    unpacked, archive = 0, io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            unpacked += path.stat().st_size
            packed.write(path, path.relative_to(folder))
    return unpacked, archive.tell()


def import_handlers(build: Build) -> Iterator[str]:
    """Yield a line for each handler that a Python 3.13 with nothing but the built folders cannot get ready."""
    python = _find_python()
    if python is None:
        yield "no Python 3.13 to import the handlers with"
        return
    # The one module that Lambda's own Python adds and the functions import.
    runtime = snapshot_restore_py.__file__
    for function in build.functions:
        folders = [build.folder / function.name, *map(build.packages, function.layers)]
        verifies = "tokens" if TOKENS_LAYER in function.layers else ""
        arguments = [runtime, function.module, verifies, *(str(folder.resolve()) for folder in folders)]
        command = [python, "-I", "-S", "-B", "-c", _PROBE, *arguments]
        ran = subprocess.run(command, env=dict(function.environment), capture_output=True, text=True, check=False)  # noqa: S603
        if ran.returncode != 0:
            yield f"{function.name}: {ran.stderr.strip().splitlines()[-1]}"


def _find_python() -> str | None:
    """Return a Python 3.13 that runs: a name on the PATH is no proof (pyenv's shims)."""
    candidates = ["python3.13"]
    if shutil.which("pyenv"):
        root = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=True).stdout.strip()  # noqa: S607
        candidates += map(str, Path(root).glob("versions/3.13.*/bin/python3.13"))
    return next((python for python in candidates if _runs(python)), None)


def _runs(python: str) -> bool:
    return bool(shutil.which(python)) and subprocess.run([python, "-c", ""], capture_output=True).returncode == 0  # noqa: S603


def main() -> int:
    """Print the sizes and every fault of the build in the folder named, `.aws-sam/build` by default; 1 if any."""
    try:
        build = load_build(Path(sys.argv[1] if len(sys.argv) > 1 else ".aws-sam/build"))
    except OperatorError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    contents = {function.name: f", with {' and '.join(function.layers)}" for function in build.functions}
    lines = [
        f"{name:20} {unpacked:>12,} bytes {zipped:>12,} zipped{contents.get(name, '')}"
        for name, (unpacked, zipped) in measure_build(build).items()
    ]
    faults = list(find_faults(build, read_locks(Path())))
    if platform.system() == "Linux" and HOSTS.get(platform.machine()) == build.architecture:
        faults += import_handlers(build)
    else:
        lines.append(f"Handlers not imported: this is no Linux on {build.architecture}.")
    if not faults:
        lines.append(f"Built and checked for {build.architecture}.")
    print("\n".join([*lines, *faults]))  # noqa: T201
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
