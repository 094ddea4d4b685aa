"""The workflows of GitHub Actions: what they may do and what they call. Their form: `make check-workflows`."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
WRITES = {
    ("deploy.yml", "deploy"): {"id-token"},
    ("dependencies.yml", "lock"): {"actions", "contents", "pull-requests"},
}
TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)


def load(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_pins_every_action_by_commit_and_names_release(path: Path) -> None:
    used = re.findall(r"uses: (.+)", path.read_text(encoding="utf-8"))
    assert used
    assert [each for each in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_has_least_permissions(path: Path) -> None:
    document = load(path)
    assert document["permissions"] in ({}, {"contents": "read"})
    for name, job in document["jobs"].items():
        writes = {scope for scope, access in job.get("permissions", {}).items() if access == "write"}
        assert writes == WRITES.get((path.name, name), set())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_calls_targets_that_exist(path: Path) -> None:
    targets = set(TARGET.findall((PROJECT / "Makefile").read_text(encoding="utf-8")))
    called = re.findall(r"\bmake ([a-z][a-z-]*)", path.read_text(encoding="utf-8"))
    assert called
    assert set(called) <= targets


def test_dependencies_workflow_starts_checks_of_its_pull_request() -> None:
    # A push with a workflow's own token starts no other workflow but one that is dispatched.
    steps = load(PROJECT / ".github" / "workflows" / "dependencies.yml")["jobs"]["lock"]["steps"]
    assert steps[-1]["run"].endswith("gh workflow run ci.yml --ref dependencies\n")
    # YAML 1.1 reads the name `on` as a boolean.
    started: Any = load(PROJECT / ".github" / "workflows" / "ci.yml")
    assert "workflow_dispatch" in started[True]


def test_deploy_workflow_waits_for_approval_and_deploys_unattended() -> None:
    job = load(PROJECT / ".github" / "workflows" / "deploy.yml")["jobs"]["deploy"]
    assert job["environment"] == "production"
    steps = [step.get("run") or step["uses"].split("@")[0] for step in job["steps"]]
    credentials = steps.index("aws-actions/configure-aws-credentials")
    # Nothing that packages' installers run sees the credentials.
    assert steps.index("make build STAGE=prod") < credentials < steps.index("make deploy STAGE=prod CONFIRM=no")
    assert "aws-access-key-id" not in str(job)
