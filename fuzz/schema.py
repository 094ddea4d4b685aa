"""`python -m fuzz.schema`: Schemathesis against the local stack, once with credentials and once without."""

from __future__ import annotations

import argparse
import subprocess
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
    failed = []
    with serve() as stack:
        for name, headers in CREDENTIALS.items():
            print(f"== {name}", flush=True)  # noqa: T201
            command = [options.tool, "--config-file", PROJECT / "fuzz" / "schemathesis.toml", "run"]
            command += [PROJECT / "docs" / "openapi.yaml", f"--url={stack.url}", "--checks=all", "--workers=4"]
            command += ["--phases=examples,coverage,fuzzing", f"--max-examples={options.examples}", "--no-color"]
            command += [f"--header={header}" for header in headers]
            command += [] if options.seed is None else [f"--seed={options.seed}"]
            if subprocess.run(command, check=False).returncode:  # noqa: S603 What the Makefile names.
                failed.append(name)
    if failed:
        raise SystemExit(f"found something {' and '.join(failed)}")


if __name__ == "__main__":
    main()
