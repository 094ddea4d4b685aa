"""The Makefile's deploy target, with a stand-in for sam: what it is called with, and that nothing is asked."""

import subprocess
from pathlib import Path

import pytest

from tests.support.stack import clean_environ

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """An environment that make takes for installed, whose programs note how they are called."""
    venv = tmp_path / "venv"
    for folder in (venv, tmp_path / "venv-sam"):
        (folder / "bin").mkdir(parents=True)
    for program in (venv / "bin" / "python", tmp_path / "venv-sam" / "bin" / "sam"):
        program.write_text(f'#!/bin/sh\necho "{program.name} $*" >>{tmp_path}/calls\n')
        program.chmod(0o755)
    for mark in (venv / ".run", venv / ".project", tmp_path / "venv-sam" / ".installed"):
        mark.touch()
    return venv


def deploy(venv: Path, *variables: str) -> list[str]:
    """Run `make deploy` without a terminal and return the calls of the programs."""
    command = ["make", "--no-print-directory", "deploy", f"VENV={venv}", *variables]
    ran = subprocess.run(
        command,
        cwd=PROJECT,
        env=clean_environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return (venv.parent / "calls").read_text().splitlines()


def test_deploy_builds_checks_and_deploys_stage(venv: Path) -> None:
    assert deploy(venv, "STAGE=prod") == [
        "sam build --config-env prod",
        "python -m tools.package",
        "sam deploy --config-env prod",
    ]


def test_deploy_without_confirmation_asks_nothing(venv: Path) -> None:
    assert deploy(venv, "STAGE=prod", "CONFIRM=no")[-1] == (
        "sam deploy --config-env prod --no-confirm-changeset --no-progressbar"
    )


def test_deploy_passes_arguments_to_their_commands(venv: Path) -> None:
    calls = deploy(venv, "ARGS=--no-disable-rollback --tags team=push", "BUILD_ARGS=--use-container")
    assert calls[0] == "sam build --config-env default --use-container"
    assert calls[-1] == "sam deploy --config-env default --no-disable-rollback --tags team=push"


@pytest.mark.parametrize("environ", [{}, {"CI": "true"}], ids=["here", "under CI"])
def test_make_test_under_ci_installs_what_no_test_may_lack(environ: dict[str, str], tmp_path: Path) -> None:
    dry = subprocess.run(
        ["make", "--dry-run", "test", f"VENV={tmp_path}/venv"],
        cwd=PROJECT,
        env={**{name: value for name, value in clean_environ().items() if name != "CI"}, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ("requirements/dev.txt" in dry.stdout) == bool(environ)
    assert "requirements/test.txt" in dry.stdout


def test_make_in_moved_folder_makes_environment_again(venv: Path) -> None:
    script = venv / "bin" / "pushreg"
    for interpreter, stays in ((venv / "bin" / "python", True), (Path("/where/it/was/bin/python"), False)):
        script.write_text(f"#!{interpreter}\n")
        ran = subprocess.run(
            ["make", "help", f"VENV={venv}"],
            cwd=PROJECT,
            env=clean_environ(),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert (venv.exists(), "was moved" in ran.stdout) == (stays, not stays)
