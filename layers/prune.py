"""Removes from a built layer what Lambda never reads; run by the Makefile beside it, before compiling."""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# What the functions call of each service; EventBridge is for the change feed.
OPERATIONS = {
    "dynamodb": {"BatchGetItem", "GetItem", "Query", "TransactGetItems", "TransactWriteItems", "UpdateItem"},
    "events": {"PutEvents"},
}
SERVICES = tuple(OPERATIONS)
# What botocore reads to make any client, besides the services' own folders.
DATA = {"_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json", *SERVICES}
UNWANTED = (
    "**/__pycache__",
    "**/tests",
    "**/*.pyi",
    "**/py.typed",
    "aws_lambda_powertools/event_handler/openapi/swagger_ui/*.min.*",
    "boto3/examples",
    # What boto3.resource() reads, which nobody calls.
    "boto3/data",
    "urllib3/contrib/emscripten",
    "bin",
    # For the C compiler that cffi can start, and for what generated a module of pycparser: Lambda has neither.
    "cffi/*.h",
    "pycparser/*.cfg",
)
# Licences have to travel with the code; METADATA names the version.
KEPT_RECORDS = ("METADATA", "LICEN", "NOTICE", "COPYING", "AUTHORS")


def prune(packages: Path) -> None:
    """Remove tests, type stubs, scripts, examples, installation records, and data of services never called."""
    unwanted = [path for pattern in UNWANTED for path in packages.glob(pattern)]
    unwanted += (path for path in packages.glob("*.dist-info/*") if not path.name.upper().startswith(KEPT_RECORDS))
    _remove(unwanted)
    data = packages / "botocore" / "data"
    if data.is_dir():
        _prune_services(data)


def _prune_services(data: Path) -> None:
    unwanted = [
        *(path for path in data.iterdir() if path.name not in DATA),
        *(path for service in SERVICES for path in sorted((data / service).iterdir())[:-1]),
        *(path for service in SERVICES for path in data.glob(f"{service}/*/examples-1.json")),
        # Without rules botocore takes a client's endpoint from endpoints.json, once (docs/decisions/endpoint-rules.md).
        *(path for service in SERVICES for path in data.glob(f"{service}/*/endpoint-rule-set-1.json.gz")),
    ]
    _remove(unwanted)
    trim_endpoints(data / "endpoints.json")
    for service, operations in OPERATIONS.items():
        for model in data.glob(f"{service}/*/service-2.json.gz"):
            trim_model(model, operations)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()


def trim_endpoints(endpoints: Path) -> None:
    """Leave out the other services: parsing the whole file is a tenth of the start. All partitions stay.

    A file cut to the partition `aws` would resolve regions in China to the wrong suffix.
    """
    content = json.loads(endpoints.read_text(encoding="utf-8"))
    for partition in content["partitions"]:
        partition["services"] = {name: service for name, service in partition["services"].items() if name in SERVICES}
    endpoints.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


def trim_model(model: Path, operations: set[str]) -> None:
    """Leave these operations and their shapes in the service model, without documentation: every start parses it.

    Of DynamoDB's model that is a thirtieth.
    """
    content = json.loads(gzip.decompress(model.read_bytes()), object_hook=_drop_documentation)
    content["operations"] = {name: content["operations"][name] for name in sorted(operations)}
    names = _find_shapes(content["operations"], content["shapes"])
    content["shapes"] = {name: shape for name, shape in content["shapes"].items() if name in names}
    model.write_bytes(gzip.compress(json.dumps(content, separators=(",", ":")).encode(), mtime=0))


def _drop_documentation(member: dict[str, Any]) -> dict[str, Any]:
    # A shape may have a member of that name, which is no text.
    return {name: value for name, value in member.items() if not (name == "documentation" and isinstance(value, str))}


def _find_shapes(operations: dict[str, Any], shapes: dict[str, Any]) -> set[str]:
    """Return the names of the shapes to which the operations lead: inputs, outputs, errors, and their members."""
    found: set[str] = set()
    pending: list[Any] = [operations]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            name = value.get("shape")
            if isinstance(name, str) and name not in found:
                found.add(name)
                pending.append(shapes[name])
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
    return found


if __name__ == "__main__":
    prune(Path(sys.argv[1]))
