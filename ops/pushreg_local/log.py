"""The functions' log lines, as the local stack prints them."""

from __future__ import annotations

import json
import sys


def write_request(line: str) -> None:
    """Print a function's log line in short form to standard output."""
    # One write, so that lines of concurrent requests do not mix; Rich would cost a fifth of the throughput.
    sys.stdout.write(f"{format_request(line)}\n")
    sys.stdout.flush()


def format_request(line: str) -> str:
    """Return a function's log line in short form; a line that is not JSON is returned unchanged."""
    try:
        record = json.loads(line)
    except ValueError:
        return line
    if "frames" in record:
        return "\n".join(f"  {detail}" for detail in (record.get("error", "?"), *record["frames"]))
    words = [str(record.get(name, "?")) for name in ("service", "operation", "status", "outcome")]
    text = f"{' '.join(words)}  {record.get('Latency', 0):.1f} ms, database calls: {record.get('calls', 0)}"
    details = [str(record[name]) for name in ("error", "store_code") if name in record]
    if record.get("status", 0) >= 500 and details:
        text += f"\n  {' '.join(details)}"
    return text
