"""`pushreg show`, `stats`, `verify` and `doctor` against a running stack, as text and as JSON."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushreg.schema import digest
from pushreg_local.client import connect_endpoint
from pushreg_local.demo import ACCOUNT_ID
from tests.support.calls import Engagement, Kazoo, Places
from tests.support.stack import Stack, run_pushreg, run_stack

pytestmark = pytest.mark.engine
TOKEN = "a-push-token-that-nobody-must-read-off-a-screen"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Path]]:
    """A stack with one registration of each family."""
    folder = tmp_path_factory.mktemp("stack")
    with run_stack(folder, engine="dynamodb-local") as stack:
        assert Kazoo(stack.send).put("d1", "m1").status == 201
        assert Engagement(stack.send).subscribe("dev1", TOKEN, osType="iphone").status == 200
        assert Places(stack.send).put(TOKEN).status == 200
        yield stack, folder


def ask(running: tuple[Stack, Path], *arguments: str, **environ: str) -> tuple[int, str, str]:
    stack, folder = running
    ran = run_pushreg(*arguments, cwd=folder, PUSHREG_ENDPOINT=stack.endpoint, **environ)
    return ran.returncode, ran.stdout, ran.stderr


def test_show_finds_registration_and_redacts_token(running: tuple[Stack, Path]) -> None:
    code, shown, _ = ask(running, "show", TOKEN)
    assert code == 0
    assert shown.startswith("family ")
    assert "\n\nfamily " in shown
    assert TOKEN not in shown
    code, found, _ = ask(running, "show", "m1", "--json")
    (record,) = json.loads(found)
    assert (code, record["device"], record["problems"]) == (0, "d1", [])
    code, found, _ = ask(running, "show", "token-of-m1", "--scan", "--json")
    assert (code, json.loads(found)) == (0, [record])
    code, found, problem = ask(running, "show", "token-of-m1", "--json")
    assert (code, found) == (1, "")
    assert "add --scan" in problem


def test_stats_count_registrations(running: tuple[Stack, Path]) -> None:
    code, text, _ = ask(running, "stats")
    assert code == 0
    assert "kazoo: 1 registration in 1 account" in text
    assert re.search(r"^  platform +iphone +1$", text, re.MULTILINE)
    assert max(map(len, text.splitlines())) <= 80
    code, text, _ = ask(running, "stats", "--json")
    assert {family: tally["registrations"] for family, tally in json.loads(text).items()} == {
        "kazoo": 1,
        "engagement": 1,
        "places": 1,
    }


def test_doctor_on_running_stack_is_good_and_leaves_no_trace(running: tuple[Stack, Path]) -> None:
    code, text, _ = ask(running, "doctor", "--api", running[0].url, "--json")
    findings = json.loads(text)
    assert (code, [each for each in findings if each["verdict"] == "bad"]) == (0, [])
    subjects = [each["subject"] for each in findings]
    assert {"DevicesTable", "directory", "kazoo", "engagement", "places"} <= set(subjects)
    code, text, _ = ask(running, "stats", "--json")
    assert [tally["registrations"] for tally in json.loads(text).values()] == [1, 1, 1]
    code, text, problem = ask(running, "doctor", "--api", "http://127.0.0.1:9")
    assert code == 1
    assert "✗ kazoo: nothing answers at http://127.0.0.1:9" in text
    assert "failed" in problem


def test_verify_reports_and_repairs_damage(running: tuple[Stack, Path]) -> None:
    stack, folder = running
    assert ask(running, "verify")[0] == 0
    client = connect_endpoint(stack.endpoint)
    claim = {"account_id": {"S": ACCOUNT_ID}, "record": {"S": f"mobile#{digest('m1')}"}}
    client.delete_item(TableName="DevicesTable", Key=claim)
    code, text, problem = ask(running, "verify")
    assert code == 1
    assert "the mobile device has no claim" in text
    assert "repair: point the claim" in text
    assert "pushreg verify --repair" in problem
    # Nobody says yes on a closed standard input.
    assert ask(running, "verify", "--repair")[0] == 1
    assert json.loads(ask(running, "verify", "--json")[1])["violations"] != []
    code, text, _ = ask(running, "verify", "--repair", "--yes", "--json")
    report = json.loads(text)
    assert (code, report["repaired"], report["left"]) == (0, 1, 0)
    assert report["violations"][0]["rule"] == "what is stored has its claims"
    assert ask(running, "verify")[0] == 0
    assert not (folder / "pushreg-removed.jsonl").exists()


@pytest.mark.parametrize(
    "command", [["show", "x"], ["stats"], ["verify"], ["doctor"], ["export"], ["import", "x.csv", "--from=places"]]
)
def test_command_without_registry_names_fix(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("place_id,device_token\n")
    ran = run_pushreg(*command, cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "no registry selected: use --stack NAME or --local" in ran.stderr
    ran = run_pushreg(*command, cwd=tmp_path, PUSHREG_ENDPOINT="http://127.0.0.1:9")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "start the local stack with `pushreg local`" in ran.stderr
    credentials = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_CONFIG_FILE": os.devnull}
    ran = run_pushreg(*command, "--stack", "prod", cwd=tmp_path, **credentials)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "no AWS credentials were found" in ran.stderr


@pytest.mark.parametrize("command", ["import", "export", "show", "stats", "verify", "doctor"])
def test_command_help_contains_examples(command: str, tmp_path: Path) -> None:
    ran = run_pushreg(command, "--help", cwd=tmp_path, COLUMNS="80")
    assert ran.returncode == 0
    assert f"\n    pushreg {command}" in ran.stdout.partition("Examples:")[2]
    assert max(map(len, ran.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("line", "wanted"),
    [("pushreg do", "doctor"), ("pushreg import x --from k", "kazoo"), ("pushreg keys issue --sc", "--scope")],
)
def test_shell_completion_completes_commands_options_and_values(line: str, wanted: str, tmp_path: Path) -> None:
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    ran = run_pushreg(cwd=tmp_path, _PUSHREG_COMPLETE="complete_bash", **words)
    assert (ran.returncode, ran.stdout.split()) == (0, [wanted])
