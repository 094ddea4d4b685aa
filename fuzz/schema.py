"""`python -m fuzz.schema`: Schemathesis against the local stack, once with credentials and once without."""

from __future__ import annotations

import argparse
import os
import re
import secrets
import subprocess
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from pushreg_local.demo import ACCOUNT_TOKEN, ENGAGEMENT_KEY, PLACES_KEY, SENDER_KEY
from tests.support.calls import engagement_form, kazoo_data, kazoo_path
from tests.support.stack import run_temporary_stack

PROJECT = Path(__file__).parents[1]
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
CREDENTIALS = {
    "with credentials": [f"X-Auth-Token: {ACCOUNT_TOKEN}", f"Authorization: Bearer {PLACES_KEY}"],
    "with a manager's key": [f"Authorization: Bearer {ENGAGEMENT_KEY}"],
    "with a sender's key": [f"Authorization: Bearer {SENDER_KEY}"],
    "without credentials": [],
}


# The longer a run, the longer the tool searches for requests that are accepted, up to a second for each: so it is given
# many short runs.
TURN = 200
_CASES = re.compile(r"Test cases:\s+(.+)")


def main() -> None:
    """Print all reports; end with 1 if one of them finds something."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tool", type=Path, required=True)
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="to repeat a run")
    options = parser.parse_args()
    with ThreadPoolExecutor() as pool:
        runs = {
            name: pool.submit(run, options.tool.absolute(), name, options.examples, options.seed)
            for name in CREDENTIALS
        }
    if failed := [name for name, each in runs.items() if not each.result()]:
        raise SystemExit(f"found something {' and '.join(failed)}")


def run(tool: Path, credentials: str, examples: int, seed: int) -> bool:
    """Run the tool against a stack of its own, print what it reports, and return whether it found nothing.

    What one run stores changes nothing for the other, and what an earlier run left in its folder is not tried again.
    """
    # One worker: the tool parses Python, which Python 3.11 does wrongly in threads at once (python/cpython#106905).
    fixed = ["--checks=all", "--workers=1", "--no-color", *(f"--header={each}" for each in CREDENTIALS[credentials])]
    environ = {**os.environ, "SCHEMATHESIS_HOOKS": "fuzz.schemathesis_checks", "PYTHONPATH": str(PROJECT)}
    passed = True
    with run_temporary_stack() as stack, tempfile.TemporaryDirectory() as folder:
        for start in range(0, examples, TURN):
            configuration = Path(folder, CONFIGURATION.name)
            configuration.write_text(
                CONFIGURATION.read_text("utf-8").replace("PLANTED_KSID", plant(stack.url)), "utf-8"
            )
            command: list[str | Path] = [tool, "--config-file", configuration, "run"]
            command += [PROJECT / "docs" / "openapi.yaml", f"--url={stack.url}", *fixed]
            # The other phases come out the same each time.
            command += [f"--phases={'fuzzing' if start else 'examples,coverage,fuzzing'}"]
            command += [f"--max-examples={min(TURN, examples - start)}", f"--seed={seed + start}"]
            # S603: what the Makefile names.
            done = subprocess.run(  # noqa: S603
                command, cwd=folder, env=environ, check=False, text=True, stdout=subprocess.PIPE
            )
            passed &= not done.returncode
            summary = _CASES.findall(done.stdout)
            report = summary[-1] if summary and not done.returncode else done.stdout
            print(f"== {credentials}, from example {start}, seed {seed + start}: {report}", flush=True)  # noqa: T201
    return passed


def plant(url: str) -> str:
    """Subscribe the devices that the configuration names, which the turn before may have removed; return a KSID."""
    ids = tomllib.loads(CONFIGURATION.read_text("utf-8"))["dictionaries"]["ids"]["values"]
    with httpx.Client(base_url=url, timeout=60) as client:
        for device_id in ids:
            body = {"data": kazoo_data(f"planted {device_id}")}
            answer = client.put(kazoo_path(device_id), headers={"X-Auth-Token": ACCOUNT_TOKEN}, json=body)
            if answer.status_code != 201 and "already exists" not in answer.text:
                raise RuntimeError(f"{device_id} was not planted: {answer.text}")
        subscribe = engagement_form(ids[0], ids[0], "demo-app", ufid="user@example.com")
        answer = client.post("/api/v1/subscribers", json={"subscriptionService": {"subscribe": subscribe}})
        ksid: str = answer.raise_for_status().json()["id"]
        return ksid


if __name__ == "__main__":
    main()
