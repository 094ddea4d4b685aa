from collections.abc import Callable
from pathlib import Path

import pytest

from pushreg_local.errors import OperatorError
from tools.package import MACHINES, MAGIC, Build, find_faults, load_build, measure, measure_build

TEMPLATE = """
Resources:
  CommonLayer: {Type: "AWS::Serverless::LayerVersion", Metadata: {BuildArchitecture: !Ref Architecture}}
  TokensLayer: {Type: "AWS::Serverless::LayerVersion", Metadata: {BuildArchitecture: !Ref Architecture}}
  PlacesFunction:
    Type: AWS::Serverless::Function
    Properties:
      Handler: places.app.handler
      Layers: [!Ref CommonLayer, !Ref TokensLayer]
      Events: {Any: {Type: HttpApi, Properties: {Path: /, Method: ANY}}}
  SendersFunction:
    Type: AWS::Serverless::Function
    Properties: {Handler: senders.app.handler, Layers: [!Ref CommonLayer]}
"""
LOCKS = {
    "CommonLayer": "six==1.17.0 \\\n    --hash=sha256:00\n",
    "TokensLayer": "pyjwt==2.15.1 \\\n    --hash=sha256:00\n",
}


def write_module(folder: Path, name: str) -> None:
    """Write a module, and beside it the header of what Python 3.13 compiles it to."""
    compiled = folder / "__pycache__" / f"{name}.cpython-313.pyc"
    compiled.parent.mkdir(parents=True)
    (folder / f"{name}.py").write_bytes(b"VALUE = 1\n")
    # As `importlib.util.source_hash` of 3.13 gives it; this may be run by another version.
    compiled.write_bytes(MAGIC + (1).to_bytes(4, "little") + bytes.fromhex("4e5c92cb2ee0f9b3"))


def write_library(path: Path, machine: int) -> None:
    path.write_bytes(b"\x7fELF".ljust(18, b"\0") + machine.to_bytes(2, "little"))


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """A build without a fault."""
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    common, tokens = (tmp_path / layer / "python" for layer in LOCKS)
    write_module(common, "six")
    write_module(common / "pushreg", "__init__")
    write_library(common / "pushreg" / "fast.so", MACHINES["arm64"])
    write_module(tokens / "jwt", "__init__")
    for family in ("places", "senders"):
        folder = tmp_path / f"{family.title()}Function"
        write_module(folder / family, "app")
        (folder / "settings").touch()
    return load_build(tmp_path)


def faults(build: Build) -> list[str]:
    return list(find_faults(build, LOCKS))


def test_package_valid_build_has_no_faults(build: Build) -> None:
    assert build.architecture == "arm64"
    assert faults(build) == []


def test_package_folder_without_build_raises(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="make build"):
        load_build(tmp_path)


def test_package_build_without_lambda_module_is_refused(build: Build) -> None:
    library = build.packages("CommonLayer") / "pushreg" / "fast.so"
    write_library(library, 3)
    with pytest.raises(OperatorError, match=r"fast\.so: no module compiled for arm64 or x86_64"):
        load_build(build.folder)
    library.unlink()
    with pytest.raises(OperatorError, match="CommonLayer: no module compiled"):
        load_build(build.folder)


def _drop_bytecode(folder: Path) -> None:
    (folder / "__pycache__" / "six.cpython-313.pyc").unlink()


def _change_source(folder: Path) -> None:
    (folder / "six.py").write_bytes(b"VALUE = 2\n")


def _drop_source(folder: Path) -> None:
    (folder / "six.py").unlink()


def _set_bytes(folder: Path, start: int, replacement: bytes) -> None:
    path = folder / "__pycache__" / "six.cpython-313.pyc"
    content = path.read_bytes()
    path.write_bytes(content[:start] + replacement + content[start + len(replacement) :])


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (_drop_bytecode, "six.py: no bytecode"),
        (_change_source, "six.py: stale bytecode"),
        (_drop_source, "six.cpython-313.pyc: bytecode without its source"),
        (lambda folder: _set_bytes(folder, 0, b"\xcb"), "six.py: bytecode of another Python than 3.13"),
        (
            lambda folder: _set_bytes(folder, 4, b"\x03"),
            "six.py: bytecode that is compared with its source at every start",
        ),
        (
            lambda folder: _set_bytes(folder, 4, b"\x00"),
            "six.py: bytecode that is compared with its source at every start",
        ),
        (lambda folder: write_library(folder / "fast.so", MACHINES["x86_64"]), "fast.so: not for arm64"),
        (lambda folder: (folder / "fast.so").write_bytes(b"no library"), "fast.so: not for arm64"),
        (lambda folder: write_module(folder / "pip", "__init__"), "CommonLayer: pip is not in its requirements.txt"),
        (
            lambda folder: write_module(folder / "boto3", "__init__"),
            "CommonLayer: boto3 is not in its requirements.txt",
        ),
        (lambda folder: write_module(folder / "pushreg" / "tests", "test_a"), "test_a.py: of no use in Lambda"),
        (lambda folder: (folder / "pushreg" / "six.pyi").touch(), "six.pyi: of no use in Lambda"),
        (
            lambda folder: (
                (folder / "six-1.17.0.dist-info").mkdir() or (folder / "six-1.17.0.dist-info" / "RECORD").touch()
            ),
            "RECORD: of no use in Lambda",
        ),
        (lambda folder: (folder / "pushreg").rename(folder.parent / "pushreg"), "CommonLayer: pushreg is missing"),
        (
            lambda folder: write_module(folder.parents[1] / "PlacesFunction" / "kazoo", "app"),
            "wanted places and settings, found kazoo, places, settings",
        ),
    ],
)
def test_package_fault_is_reported(build: Build, spoil: Callable[[Path], object], fault: str) -> None:
    spoil(build.packages("CommonLayer"))
    assert any(line.endswith(fault) for line in faults(build))


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda folder: write_library(folder / "jwt" / "fast.so", MACHINES["x86_64"]), "fast.so: not for arm64"),
        (lambda folder: write_module(folder / "six", "__init__"), "TokensLayer: six is not in its requirements.txt"),
        (
            lambda folder: write_module(folder / "pushreg", "__init__"),
            "TokensLayer: pushreg is not in its requirements.txt",
        ),
        (lambda folder: (folder / "jwt").rename(folder.parent / "jwt"), "TokensLayer: jwt is missing"),
    ],
)
def test_package_fault_of_tokens_layer_is_reported(build: Build, spoil: Callable[[Path], object], fault: str) -> None:
    spoil(build.packages("TokensLayer"))
    assert any(line.endswith(fault) for line in faults(build))


@pytest.mark.parametrize(
    ("layer", "size", "expected"),
    [
        ("CommonLayer", 24_990_000, []),
        ("CommonLayer", 25_000_001, ["SendersFunction"]),
        ("CommonLayer", 41_000_001, ["PlacesFunction", "SendersFunction"]),
        ("TokensLayer", 40_990_000, []),
        ("TokensLayer", 41_000_001, ["PlacesFunction"]),
    ],
)
def test_package_function_over_its_size_is_reported(build: Build, layer: str, size: int, expected: list[str]) -> None:
    (build.packages(layer) / ("pushreg" if layer == "CommonLayer" else "jwt") / "big.json").write_bytes(bytes(size))
    over = [line for line in faults(build) if line.endswith("is over the target")]
    assert [line.partition(" ")[0] for line in over] == expected


def test_package_measure_build_counts_layers_into_their_functions(build: Build) -> None:
    (build.packages("TokensLayer") / "jwt" / "big.json").write_bytes(bytes(10_000))
    sizes = {name: unpacked for name, (unpacked, _) in measure_build(build).items()}
    assert list(sizes) == ["CommonLayer", "TokensLayer", "PlacesFunction", "SendersFunction"]
    assert sizes["TokensLayer"] > 10_000
    assert sizes["PlacesFunction"] == sizes["SendersFunction"] + sizes["TokensLayer"]


def test_package_measure_counts_every_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(10_000))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").write_bytes(b"x")
    unpacked, zipped = measure(tmp_path)
    assert unpacked == 10_001
    assert 0 < zipped < 1_000
