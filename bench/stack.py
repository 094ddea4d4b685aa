"""The local stack in a folder of its own, and tables under the names that the bench's processes use."""

from __future__ import annotations

import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from bench.interpreter import ROOT
from bench.scenarios import directory, stored

KEYS = {
    "Devices": ("account_id", "record"),
    "Subscribers": ("record",),
    "Places": ("place_id", "token_digest"),
    "Directory": ("record",),
}
PATIENCE = 120.0
_READY = re.compile(r"Pushreg answers at (http://\S+)")
_ENDPOINT = re.compile(r"^Store: .*?(http://127\.0\.0\.1:\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Stack:
    """Where the API and its database answer."""

    url: str
    endpoint: str


@contextmanager
def run_stack() -> Iterator[Stack]:
    """Yield a local stack on DynamoDB Local with demo data; nothing of it remains."""
    with tempfile.TemporaryDirectory(prefix="pushreg-bench-") as folder:
        log = Path(folder) / "output.txt"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(ROOT / ".venv/bin/pushreg"), "local", "--port=0", "--dynamodb-port=0", "--store=dynamodb-local"],
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield _await_readiness(process, log)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)


def _await_readiness(process: subprocess.Popen[bytes], log: Path) -> Stack:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        text = log.read_text("utf-8")
        url, endpoint = _READY.search(text), _ENDPOINT.search(text)
        if url and endpoint:
            return Stack(url[1], endpoint[1])
        time.sleep(0.1)
    raise RuntimeError(f"the local stack did not start:\n{log.read_text('utf-8')}")


def create_tables(endpoint: str) -> Any:
    """Make the bench's own tables, with the directory filled, and return a client of them."""
    client = boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    for name, keys in KEYS.items():
        client.create_table(
            TableName=name,
            KeySchema=[
                {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            BillingMode="PAY_PER_REQUEST",
        )
    for name, items in {"Directory": directory(), **stored()}.items():
        for item in items:
            client.put_item(TableName=name, Item=item)
    return client
