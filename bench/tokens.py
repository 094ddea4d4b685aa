"""What a signed token costs in place of a key: the first request of an environment, and warm ones.

Each row is measured in processes of their own, started as Lambda would, with DynamoDB answered from memory. Tokens are
signed by this process and given to them, so that they import PyJWT when the first token comes and not before.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from functools import partial
from typing import Any

from bench import scenarios, worker
from bench.figures import median_ratio, shuffle_rounds, table
from bench.interpreter import command, environment

KID = "bench-key"
# Fewer than the functions remember.
NEW_TOKENS = 300
WARM_REQUESTS = 300
SCENARIO = "kazoo GET"


def run(rounds: int) -> tuple[str, dict[str, Any]]:
    """Return the table and the figures: milliseconds of the first request, microseconds of warm ones."""
    given = _sign_tokens()
    measured: dict[str, list[dict[str, float]]] = {"key": [], "token": []}

    def measure(kind: str) -> float:
        measured[kind].append(_measure(kind, given))
        return measured[kind][-1]["first"]

    figures = shuffle_rounds({kind: partial(measure, kind) for kind in measured}, rounds)
    rows = [("key, first request", "key", "first"), ("token, first request", "token", "first")]
    rows += [("key, warm", "key", "warm"), ("token verified before, warm", "token", "warm")]
    rows += [("new token, warm", "token", "new")]
    data: dict[str, Any] = {}
    for name, kind, figure in rows:
        base = figures["key"] if figure == "first" else [each["warm"] for each in measured["key"]]
        values = [each[figure] for each in measured[kind]]
        data[name] = {"us": round(statistics.median(values), 1), "ratio": round(median_ratio(values, base), 2)}
    text = table((f"{SCENARIO} with", "µs of CPU", "to a key"), [(name, *each.values()) for name, each in data.items()])
    return f"{text}\n\nMedians of {rounds} rounds, each a fresh process per kind, in shuffled order.", data


def _sign_tokens() -> str:
    # Not at the top: a process that is measured imports this module too.
    jwt = importlib.import_module("jwt")
    rsa = importlib.import_module("cryptography.hazmat.primitives.asymmetric.rsa")
    forms = importlib.import_module("cryptography.hazmat.primitives.serialization")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.public_key().public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo).decode()
    claims = {"iss": "kazoo", "account_id": scenarios.ACCOUNT, "identity_sig": "x" * 43, "exp": time.time() + 86_400}
    tokens = [
        jwt.encode({**claims, "owner_id": f"{number:032x}"}, key, "RS256", headers={"kid": KID})
        for number in range(NEW_TOKENS + 1)
    ]
    return json.dumps({"pem": pem, "tokens": tokens})


def _measure(kind: str, given: str) -> dict[str, float]:
    done = subprocess.run(
        command("-m", "bench.tokens", kind),
        env=environment("pushreg", "kazoo", None),
        input=given,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _serve(kind: str) -> None:
    """Answer requests with a key or with the tokens given, and print what they cost in microseconds of CPU."""
    given = json.load(sys.stdin)
    output = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 Log lines cost, but are not for reading.
    issuer = {"name": "bench", "family": "kazoo", "algorithm": "RS256", "public_key": given["pem"], "issuer": "kazoo"}
    entry = {name: {"S": value} for name, value in issuer.items()}
    entry |= {"record": {"S": f"issuer#{KID}"}, "created_at": {"S": "2026-11-01T00:00:00Z"}}

    def answer(target: str, body: bytes) -> tuple[int, bytes]:
        if target == "GetItem" and b'"Directory"' in body:
            found = entry if b"issuer#" in body else scenarios.directory()[-1]
            return 200, json.dumps({"Item": found}).encode()
        return scenarios.answer(target, body)

    worker.answer_from_memory("pushreg", answer)
    handler = importlib.import_module("kazoo.lambda_entry").handler
    handler.prepare()
    event = scenarios.build_event(SCENARIO)

    def ask(tokens: list[str]) -> float:
        """Return the cost of one request, on average."""
        started = time.process_time_ns()
        for token in tokens:
            event["headers"]["x-auth-token"] = token
            answered = handler(event, worker.CONTEXT)
            if answered["statusCode"] != 200:
                raise SystemExit(f"the {kind} is answered with {answered['body']}")
        return (time.process_time_ns() - started) / len(tokens) / 1000

    first, *others = given["tokens"] if kind == "token" else ["demo-kazoo-token"]
    costs = {"first": ask([first]), "warm": ask([first] * WARM_REQUESTS)}
    if others:
        costs["new"] = ask(others)
    output.write(json.dumps(costs))
    output.close()


if __name__ == "__main__":
    _serve(sys.argv[1])
