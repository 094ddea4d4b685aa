"""From a clone to a second registry with the same data."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pushreg_local.demo import ACCOUNT_ID, PLACE_ID
from tests.support.calls import Engagement, Kazoo, Places, answered
from tests.support.stack import DYNAMODB_LOCAL, PATIENCE, Stack, run_process, run_pushreg, run_stack

pytestmark = pytest.mark.engine
ROOT = Path(__file__).resolve().parents[2]
SID = "a-sid-of-firebase"
TOKEN = "a-token-of-firebase"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is committed, with the libraries that are installed already."""
    folder = tmp_path_factory.mktemp("newcomer") / "pushreg"
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True, timeout=PATIENCE)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@pytest.fixture(scope="module")
def first(clone: Path) -> Iterator[Stack]:
    """`make run` in the clone."""
    installed = [f"--assume-old=.venv/{name}" for name in ("bin/python", ".run", ".project")]
    command = ["make", "run", *installed, "PORT=0", "DYNAMODB_PORT=0", f"STORE={DYNAMODB_LOCAL}"]
    ready_file = clone / "ready.json"
    command.append(f"ARGS=--ready-file={ready_file}")
    with run_process(clone, command, DYNAMODB_LOCAL, ready_file, own_code(clone)) as stack:
        yield stack


def own_code(clone: Path) -> dict[str, str]:
    # The libraries' place has the project itself in it too, which is another than the clone.
    return {"PYTHONPATH": ":".join(str(clone / name) for name in ("ops", "layers/common", "functions"))}


def test_clone_to_second_registry_path_works(clone: Path, first: Stack, tmp_path: Path) -> None:
    def pushreg(stack: Stack, *arguments: str) -> Any:
        ran = run_pushreg(*arguments, "--json", cwd=tmp_path, PUSHREG_ENDPOINT=stack.endpoint, **own_code(clone))
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    with httpx.Client(base_url=first.url, timeout=PATIENCE) as browser:
        page = browser.get("/docs")
        assert (page.status_code, "Pushreg" in page.text) == (200, True)
        document = browser.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert {path for path in document["paths"] if path in first.output} == set(document["paths"])

    account_key = pushreg(first, "keys", "issue", "--account", ACCOUNT_ID)["secret"]
    places_key = pushreg(first, "keys", "issue", "--places", PLACE_ID)["secret"]
    assert pushreg(first, "apps", "add", "my-app", "--auth-token", "my-auth-token") == {
        "id": "my-app",
        "added": True,
        "outcome": "added",
    }

    kept = Kazoo(first.send, account_key).put("phone-1", "mobile-1")
    assert kept.status == 201
    reply = Engagement(first.send, "my-app").subscribe("phone-1", SID, authToken="my-auth-token")
    assert reply.status == 200
    ksid = answered(reply)[1]
    assert Places(first.send, places_key).put(TOKEN).status == 200
    for text, family in (("mobile-1", "kazoo"), (ksid, "engagement"), (TOKEN, "places")):
        (record,) = pushreg(first, "show", text)
        assert (record["family"], record["problems"], record["owner_known"]) == (family, [], True)

    assert pushreg(first, "export", "all.jsonl", "--keys")["kazoo"] == 1
    with run_stack(tmp_path, "--no-demo", engine=DYNAMODB_LOCAL, environ=own_code(clone)) as second:
        report = pushreg(second, "import", "all.jsonl")
        assert (report["created"], report["refused"]) == (report["rows"], 0)
        pushreg(second, "export", "again.jsonl", "--keys")
        exports = [sorted((tmp_path / name).read_text().splitlines()) for name in ("all.jsonl", "again.jsonl")]
        assert exports[0] == exports[1]

        moved = Kazoo(second.send, account_key).get("phone-1")
        assert (moved.status, moved.json["data"]) == (200, kept.json["data"])
        known = Engagement(second.send, "my-app").subscribe("phone-1", SID, authToken="my-auth-token")
        assert answered(known)[:2] == ("201", ksid)
        assert Places(second.send, places_key).delete(TOKEN).status == 200
