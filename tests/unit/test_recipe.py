"""functions/Makefile; tools.package checks what it builds."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
UNCHECKED = 1


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the recipe reads."""
    shutil.copytree(PROJECT / "functions", tmp_path / "functions", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("template.yaml", "samconfig.toml"):
        shutil.copy(PROJECT / name, tmp_path)
    return tmp_path


def build(project: Path, function: str = "PlacesFunction") -> Path:
    """Run the recipe as `sam build` does, in a copy of the folder with the makefile named by its path."""
    artifacts, scratch = project / "artifacts", project / "scratch"
    for folder in (artifacts, scratch):
        shutil.rmtree(folder, ignore_errors=True)
    artifacts.mkdir()
    shutil.copytree(project / "functions", scratch)
    makefile = project / "functions" / "Makefile"
    variables = [f"ARTIFACTS_DIR={artifacts}", f"PYTHON={sys.executable}"]
    command = ["make", "--makefile", str(makefile), f"build-{function}", *variables]
    ran = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return artifacts


@pytest.mark.parametrize("family", ["kazoo", "engagement", "places", "senders"])
def test_functions_makefile_packages_only_own_family(family: str, project: Path) -> None:
    built = build(project, f"{family.capitalize()}Function")
    assert sorted(path.name for path in built.iterdir()) == sorted([family, "settings"])
    sources = {path.name for path in (project / "functions" / family).glob("*.py")}
    assert {path.name for path in (built / family).glob("*.py")} == sources
    compiled = list((built / family / "__pycache__").iterdir())
    assert len(compiled) == len(sources)
    assert {int.from_bytes(path.read_bytes()[4:8], "little") for path in compiled} == {UNCHECKED}


def test_functions_makefile_build_is_reproducible(project: Path) -> None:
    before = {path: path.read_bytes() for path in build(project).rglob("*") if path.is_file()}
    assert before == {path: path.read_bytes() for path in build(project).rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["template.yaml", "samconfig.toml"])
def test_functions_makefile_changed_settings_change_package(name: str, project: Path) -> None:
    before = (build(project) / "settings").read_bytes()
    with (project / name).open("a") as file:
        file.write("# Changed.\n")
    assert (build(project) / "settings").read_bytes() != before


def test_functions_makefile_without_python_3_13_names_fix(project: Path) -> None:
    command = ["make", "--makefile", "Makefile", "build-PlacesFunction", "ARTIFACTS_DIR=x", "PYTHON="]
    ran = subprocess.run(command, cwd=project / "functions", capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert "Python 3.13 is needed to build" in ran.stderr
