"""Every command in the documents: run if it is for the local stack, else checked against the tools."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import ENGINES
from tests.support.documents import ROOT, ShownCommand, read_commands
from tests.support.stack import PUSHREG, Stack, clean_environ, run_stack

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
# What differs from one answer to the next: KSIDs, ids of requests and keys, nodes, times, secrets.
_CHANGING = re.compile(
    r"\b[0-9]{19}\b|\b(?:[0-9a-f]{16}|[0-9a-f]{32})\b|\"node\":\"[^\"]*\"|[0-9-]{10}T[0-9:]{8}Z|^[\w-]{43}$",
    re.MULTILINE,
)


SHOWN = [each for document in DOCUMENTS for each in read_commands(document)]
# test_migration_pages follows the migration pages.
HERE = [each for each in SHOWN if each.is_local and not each.document.startswith("migrate-")]
ELSEWHERE = [each for each in SHOWN if not each.is_local and not each.document.startswith("migrate-")]


def test_documents_contain_local_and_other_commands() -> None:
    assert {each.document for each in HERE} >= {"README.md", "sending.md"}
    assert ELSEWHERE


@pytest.fixture
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with the demo data alone, so that what is counted is what the document shows."""
    with run_stack(tmp_path_factory.mktemp("stack"), engine=ENGINES[0]) as running:
        yield running


@pytest.mark.parametrize("document", sorted({each.document for each in HERE}))
def test_documents_local_commands_run_as_shown(document: str, own_stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    environ = {
        **clean_environ(),
        "PUSHREG_ENDPOINT": own_stack.endpoint,
        "PATH": f"{PUSHREG.parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "120",
    }
    for each in (each for each in HERE if each.document == document):
        command = each.command.replace("http://127.0.0.1:3000", own_stack.url)
        command = command.replace("http://127.0.0.1:8000", own_stack.endpoint)
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        if each.output:
            assert _CHANGING.sub("…", done.stdout.strip()) == _CHANGING.sub("…", each.output)


@pytest.mark.parametrize("shown", ELSEWHERE, ids=lambda each: f"{each.document}: {each.command[:60]}")
def test_documents_other_commands_exist(shown: ShownCommand) -> None:
    words = shown.command.partition(" #")[0].split()
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        assert words[1] in targets
    elif words[0] == "pushreg":
        names = [word for word in words[1:] if re.fullmatch(r"[a-z]+", word)]
        known = _help(*names[:2]) or _help(*names[:1])
        for option in (word for word in words if word.startswith("--")):
            assert option in known, f"{option} is not known to pushreg {' '.join(names[:2])}"
    else:
        assert words[0] in {"sam", "aws", "curl", "git", "pip"}


def _help(*names: str) -> str:
    environ = {**clean_environ(), "COLUMNS": "200"}
    done = subprocess.run([str(PUSHREG), *names, "--help"], env=environ, capture_output=True, text=True, timeout=60)
    return done.stdout if done.returncode == 0 else ""
