"""`python -m fuzz.schema`: Schemathesis against the local stack, once with credentials and once without."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.stack import serve
from pushreg_ops.demo import ACCOUNT_TOKEN, PLACES_KEY

PROJECT = Path(__file__).parents[1]
CREDENTIALS = {
    "with credentials": [f"X-Auth-Token: {ACCOUNT_TOKEN}", f"Authorization: Bearer {PLACES_KEY}"],
    "without credentials": [],
}


def main() -> None:
    """Print both reports; end with 1 if either finds something."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tool", type=Path, required=True)
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--seed", type=int, help="to repeat a run")
    options = parser.parse_args()
    arguments = [f"--max-examples={options.examples}"] + ([] if options.seed is None else [f"--seed={options.seed}"])
    with ThreadPoolExecutor() as pool:
        runs = {
            name: pool.submit(run, options.tool, [*arguments, *(f"--header={header}" for header in headers)])
            for name, headers in CREDENTIALS.items()
        }
    for name, each in runs.items():
        print(f"== {name}\n{each.result().stdout}", flush=True)  # noqa: T201
    if failed := [name for name, each in runs.items() if each.result().returncode]:
        raise SystemExit(f"found something {' and '.join(failed)}")


def run(tool: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run the tool against a stack of its own, so that what one run stores changes nothing for the other."""
    command: list[str | Path] = [tool.absolute(), "--config-file", PROJECT / "fuzz" / "schemathesis.toml"]
    command += ["run", PROJECT / "docs" / "openapi.yaml", "--checks=all", "--phases=examples,coverage,fuzzing"]
    # One worker: the tool parses Python, which Python 3.11 does wrongly in threads at once (python/cpython#106905).
    command += ["--workers=1", "--no-color", *arguments]
    # What an earlier run left in its folder, the tool would try first.
    with serve() as stack, tempfile.TemporaryDirectory() as folder:
        return subprocess.run(  # noqa: S603 What the Makefile names.
            [*command, f"--url={stack.url}"], cwd=folder, check=False, text=True, stdout=subprocess.PIPE
        )


if __name__ == "__main__":
    main()
