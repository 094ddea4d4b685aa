"""`make bench`: everything side by side in one run; Markdown to the screen, JSON beside it, plots on request."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import cold, cost, load, longest, plots, sizes, tokens, units, warm
from bench.interpreter import ROOT, prepare
from bench.tables import create_tables
from tests.support.stack import run_temporary_stack

SECTIONS = ("sizes", "cold", "warm", "longest", "tokens", "wall", "units", "load", "cost", "import")


def main() -> None:
    """Run the sections asked for."""
    parser = argparse.ArgumentParser(prog="bench", description="What Pushreg costs, side by side with its peers.")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: under two minutes, and noisier")
    parser.add_argument("--plots", type=Path, help="folder to draw SVG plots into")
    parser.add_argument("--json", type=Path, default=ROOT / ".bench" / "results.json", help="where the figures go")
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    prepare()
    chosen = options.sections or SECTIONS
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    print(f"{now}, Python {platform.python_version()}, {platform.machine()}\n", flush=True)
    results = measure(chosen, options.quick)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
    if options.plots is not None:
        print("Drawn: " + ", ".join(str(path) for path in plots.write(results, options.plots)))


def measure(chosen: Collection[str], quick: bool) -> dict[str, Any]:
    """Return the figures by section, printing each table as soon as it is there."""
    results: dict[str, Any] = {}

    def show(name: str, figures: tuple[str, dict[str, Any]]) -> None:
        text, results[name] = figures
        print(f"{text}\n", flush=True)

    if "sizes" in chosen:
        show("sizes", sizes.run())
    if "cold" in chosen:
        show("cold", cold.run(5 if quick else 15))
    if "warm" in chosen or "cost" in chosen:
        show("warm", warm.run(9 if quick else 45, 50 if quick else 100, None))
    if "longest" in chosen:
        show("longest", longest.run(3 if quick else 7))
    if "tokens" in chosen:
        show("tokens", tokens.run(5 if quick else 15))
    if {"wall", "units", "load", "cost"} & set(chosen):
        with run_temporary_stack() as stack:
            client = create_tables(stack.endpoint)
            if "units" in chosen or "cost" in chosen:
                counts = (1, 1_000) if quick else (1, 1_000, 1_000_000)
                show("units", units.run(client, counts))
            if "wall" in chosen:
                show("wall", warm.run(9 if quick else 45, 30 if quick else 60, stack.endpoint))
            if "load" in chosen:
                show("load", load.run(stack.url, 2 if quick else 10))
    if "cost" in chosen:
        show("cost", cost.run(results["units"], results["warm"]))
    if "import" in chosen:
        show("import", measure_import(quick))
    return results


def measure_import(quick: bool) -> tuple[str, dict[str, Any]]:
    """Return the table and the figures of bench.transfer, from the interpreter that has the `pushreg` command."""
    command = [str(ROOT / ".venv" / "bin" / "python"), "-m", "bench.transfer", "--json"]
    size = ["--rows=300", "--rounds=1"] if quick else []
    done = subprocess.run([*command, *size], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    text, figures = json.loads(done.stdout)
    return text, figures


if __name__ == "__main__":
    main()
