import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PROJECT = Path(__file__).parents[2]
COMMON, TOKENS = LAYERS = [PROJECT / "layers" / name / "requirements.txt" for name in ("common", "tokens")]
LOCKS = [*LAYERS, *sorted((PROJECT / "requirements").glob("*.txt"))]
# The others share a venv.
APART = {"clock.txt", "sam.txt", "checkov.txt", "schemathesis.txt", "workflows.txt", "audit.txt", "lock.txt"}


def entries(lock: Path) -> list[str]:
    text = re.sub(r"#.*", "", lock.read_text(encoding="utf-8")).replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip()]


def pins(lock: Path) -> dict[str, set[str]]:
    """Each package's pins, of which there may be several, told apart by their markers."""
    found: dict[str, set[str]] = {}
    for entry in entries(lock):
        requirement = Requirement(entry.split("--hash", 1)[0])
        found.setdefault(requirement.name, set()).add(str(requirement.specifier))
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_lock_file_pins_version_and_hash(lock: Path) -> None:
    pinned = re.compile(r"[\w.-]+==[\w.]+ (; [^@]+ )?( *--hash=sha256:[0-9a-f]{64})+")
    assert entries(lock)
    assert [entry for entry in entries(lock) if not pinned.fullmatch(entry)] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_lock_file_names_no_host(lock: Path) -> None:
    assert re.findall(r"\w+://\S+|--\w*index\S*|--find-links\S*", lock.read_text(encoding="utf-8")) == []


def test_lock_files_of_one_venv_agree() -> None:
    releases: dict[str, set[str]] = {}
    for lock in (path for path in LOCKS if path.name not in APART):
        for name, versions in pins(lock).items():
            assert releases.setdefault(name, versions) == versions, f"{name} in {lock.name}"


def test_lock_file_contains_requested_packages() -> None:
    for wanted in (PROJECT / "requirements").glob("*.in"):
        names = {
            name.lower() for name in re.findall(r"^[A-Za-z][\w.-]*", wanted.read_text(encoding="utf-8"), re.MULTILINE)
        }
        layer = wanted.stem.removeprefix("layer-")
        lock = wanted.with_suffix(".txt") if layer == wanted.stem else PROJECT / "layers" / layer / "requirements.txt"
        assert names
        assert names <= pins(lock).keys(), wanted.name


def test_layer_locks_share_no_package() -> None:
    # Lambda unpacks both layers into one folder.
    assert pins(COMMON).keys().isdisjoint(pins(TOKENS))
    assert {"pyjwt", "cryptography"} <= pins(TOKENS).keys()


def test_layer_locks_exclude_packages_of_lambda_runtime() -> None:
    assert {"snapshot-restore-py"}.isdisjoint({*pins(COMMON), *pins(TOKENS)})
