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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import snapshot_restore_py

from pushreg_local.errors import OperatorError
from pushreg_local.template import FILE_NAME, Function, load_template

# For the layer and one function together (docs/performance.md).
MAX_UNPACKED = 41_000_000
MAX_ZIPPED = 13_600_000
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
runtime, module, *sys.path[:0] = sys.argv[1:]
spec = importlib.util.spec_from_file_location("snapshot_restore_py", runtime)
sys.modules[spec.name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules[spec.name])
importlib.import_module(module).handler.prepare()
"""


@dataclass(frozen=True, slots=True)
class Build:
    """The folder that `sam build` filled."""

    folder: Path
    architecture: str
    functions: tuple[Function, ...]

    @property
    def layer(self) -> Path:
        """Where the layer's packages are."""
        return self.folder / "CommonLayer" / "python"

    def parts(self) -> Iterator[Path]:
        """Yield the folders that become an archive each."""
        yield self.layer.parent
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


def find_faults(build: Build, requirements: str) -> Iterator[str]:
    """Yield a line for each thing in the build that is missing, stale, foreign or too big."""
    for part in build.parts():
        for path in sorted(path for path in part.rglob("*") if path.is_file()):
            fault = _fault(path, path.relative_to(part), build.architecture)
            if fault is not None:
                yield f"{path.relative_to(build.folder)}: {fault}"
    wanted = _importable(requirements) | {"pushreg"}
    # A compiled module's name goes on with the Python and the platform that it is for.
    found = {
        path.name.partition(".")[0]
        for path in build.layer.iterdir()
        if not path.name.endswith((".dist-info", "__pycache__"))
    }
    yield from (f"CommonLayer: {name} is not in requirements.txt" for name in sorted(found - wanted))
    yield from (f"CommonLayer: {name} is missing" for name in sorted(wanted - found))
    for function in build.functions:
        package = function.module.partition(".")[0]
        entries = {path.name for path in (build.folder / function.name).iterdir()}
        if entries != {package, SETTINGS}:
            yield f"{function.name}: wanted {package} and {SETTINGS}, found {', '.join(sorted(entries)) or 'nothing'}"
    for function in build.functions:
        sizes = [measure(build.layer.parent), measure(build.folder / function.name)]
        unpacked, zipped = (sum(column) for column in zip(*sizes, strict=True))
        if unpacked > MAX_UNPACKED or zipped > MAX_ZIPPED:
            yield f"{function.name} and its layer: {unpacked:,} bytes, {zipped:,} zipped, is over the target"


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


def _importable(requirements: str) -> set[str]:
    """Return the top-level names that the pinned distributions, installed beside this code, bring along."""
    pinned = {_normalize(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", requirements, re.MULTILINE)}
    providers = importlib.metadata.packages_distributions()
    return {
        name
        for name, distributions in providers.items()
        if not name.endswith("__pycache__") and pinned.intersection(map(_normalize, distributions))
    }


def _normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


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
        folders = [str((build.folder / function.name).resolve()), str(build.layer.resolve())]
        command = [python, "-I", "-S", "-B", "-c", _PROBE, runtime, function.module, *folders]
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
    lines = []
    for part in build.parts():
        unpacked, zipped = measure(part)
        lines.append(f"{part.name:20} {unpacked:>12,} bytes {zipped:>12,} zipped")
    requirements = Path("layers/common/requirements.txt").read_text(encoding="utf-8")
    faults = list(find_faults(build, requirements))
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
