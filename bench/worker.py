"""A process that serves one variant: told a number on stdin, it answers that many requests and tells what they cost.

Started with the interpreter, the paths and the environment that Lambda would give the variant; until the variant is
loaded it imports nothing of the project but the scenarios.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import sys
import time
import zlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from bench import scenarios

MODULES = {
    "floor": "bench.peers.floor",
    "powertools": "bench.peers.powertools_app",
    "fastapi": "bench.peers.fastapi_mangum",
    "chalice": "bench.peers.chalice_app",
}


# DynamoDB's status and body for a call: its name and its body.
Answer = Callable[[str, bytes], tuple[int, bytes]]
# As much of Lambda's context as anybody reads.
CONTEXT = SimpleNamespace(
    function_name="bench",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:bench",
    aws_request_id="00000000-0000-0000-0000-000000000000",
    get_remaining_time_in_millis=lambda: 15_000,
)


class Body(io.BytesIO):
    """The part of a urllib3 response that botocore reads."""

    def stream(self) -> Any:
        """Yield the whole body."""
        yield self.read()


def answer_from_memory(variant: str, answer_call: Answer = scenarios.answer) -> None:
    """Answer in place of the HTTP client: what remains is the processor time of everything above it."""
    if variant == "pushreg":
        from pushreg import transport  # noqa: PLC0415 Only this variant has it.

        def exchange(_: Any, headers: Any, body: bytes) -> Any:
            status, answer = answer_call(headers["X-Amz-Target"].partition(".")[2], body)
            return transport.Answer(status, {"x-amz-crc32": str(zlib.crc32(answer))}, answer)

        connections: Any = transport.Connections
        connections.exchange = exchange
        return
    from botocore.awsrequest import AWSResponse  # noqa: PLC0415 Each variant brings its own botocore.
    from botocore.httpsession import URLLib3Session  # noqa: PLC0415

    def send(_: Any, request: Any) -> Any:
        target = request.headers["X-Amz-Target"]
        name = (target.decode() if isinstance(target, bytes) else target).partition(".")[2]
        body = request.body if isinstance(request.body, bytes) else request.body.encode()
        status, answer = answer_call(name, body)
        headers: Any = {"content-type": "application/x-amz-json-1.0", "content-length": str(len(answer))}
        return AWSResponse(request.url, status, headers, Body(answer))

    session: Any = URLLib3Session
    session.send = send


def load(variant: str, scenario: scenarios.Scenario) -> Callable[[int], dict[str, Any]]:
    """Return a function that answers one request, given its number."""
    if variant == "pushreg":
        handler = importlib.import_module(f"{scenario.family}.lambda_entry").handler
    else:
        handler = importlib.import_module(MODULES[variant]).handler
    rest = variant == "chalice"
    fixed = scenarios.build_event(scenario.name)
    changing = scenario.name == "kazoo POST changed"

    def call(number: int) -> dict[str, Any]:
        event = scenarios.build_event(scenario.name, number) if changing else fixed
        answer: dict[str, Any] = handler(scenarios.to_rest(event) if rest else event, CONTEXT)
        return answer

    return call


def essence(body: str) -> Any:
    """Return what every variant's answer to a request must say alike."""
    if body.startswith("<"):
        return body
    data = json.loads(body)
    return {name: value for name, value in data.items() if name not in ("node", "request_id", "timestamp")}


def main(variant: str, name: str, memory: str) -> None:
    """Tell what request 0 is answered with, then serve until stdin ends."""
    scenario = next(each for each in scenarios.SCENARIOS if each.name == name)
    output = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 Log lines cost, but are not for reading.
    if memory == "memory":
        answer_from_memory(variant)
    call = load(variant, scenario)
    output.write(json.dumps(essence(call(0)["body"])) + "\n")
    number = os.getpid() << 20
    for line in sys.stdin:
        walls = []
        cpu = time.process_time_ns()
        for _ in range(int(line)):
            number += 1
            started = time.perf_counter_ns()
            status = call(number)["statusCode"]
            walls.append(time.perf_counter_ns() - started)
            if status != scenario.status:
                raise SystemExit(f"{variant} answered {name} with {status}")
        cpu = time.process_time_ns() - cpu
        walls.sort()
        output.write(json.dumps({"cpu": cpu / len(walls) / 1000, "wall": walls[len(walls) // 2] / 1000}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
