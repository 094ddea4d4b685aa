"""Every command of docs/operations.md and docs/runbooks.md: run on moto's stacks, or listed here with the reason.

`pushreg` runs in this process. A command of the AWS CLI is made by the client that the CLI would use, from the
operation's own model, so an unknown command, option or value fails.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.validate import ParamValidator
from moto import mock_aws

from pushreg_local.intrinsics import Resolver, parse
from pushreg_local.tables import TABLES
from pushreg_local.template import FILE_NAME, find_template
from tests.support.command import Run

PROJECT = Path(__file__).parents[3]
DOCUMENT = parse(find_template(Path(__file__)).read_text("utf-8"))
ITEMS: dict[str, list[Any]] = json.loads((Path(__file__).parent / "data" / "items-1.0.0.json").read_text("utf-8"))
KSID = "4866787741898326791"
STACKS = ("pushreg", "pushreg-2", "old", "new")
# Beginnings of commands that do not run here, and why; those of the AWS CLI are checked against its models.
NOT_RUN = {
    "make deploy": "needs SAM and an account; test_deployability.py has the transform and the resources",
    "sam build && sam deploy": "the same",
    "make build STAGE=local": "needs Docker; tests/e2e/sam does it",
    "sam local": "needs Docker; tests/e2e/sam does it",
    "pushreg console": "serves until it is stopped; tests/e2e/test_console.py looks at it",
    "socat": "forwards a port of the machine; tests/e2e/sam does the same",
    "filter ": "a query of Logs Insights; test_request_log.py evaluates those on real lines",
    "aws cloudformation create-change-set": "moto imports no resources; test_runbooks.py creates them",
    "aws cloudformation wait": "the same",
    "aws cloudformation execute-change-set": "the same",
}
# A block is indented, and so deeper than the list that it may be in.
_BLOCK = re.compile(r"(?<=\n\n)(?: {4,}[^\n]+\n)+")


def read_commands(document: str) -> list[str]:
    """Return all lines of the document's indented blocks in order, continued ones joined and comments left out."""
    text = (PROJECT / "docs" / document).read_text("utf-8")
    lines = [line for block in _BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    return [line.partition("  #")[0].strip() for line in lines]


GUIDES = {name: read_commands(name) for name in ("operations.md", "runbooks.md")}
COMMANDS = [command for commands in GUIDES.values() for command in commands]


def find_reason(command: str) -> str | None:
    return next((reason for start, reason in NOT_RUN.items() if command.startswith(start)), None)


@pytest.fixture
def tables() -> Iterator[dict[str, dict[str, str]]]:
    """The tables of every stack that the guides name, all but the last with 1.0.0's items."""
    resolved = Resolver(DOCUMENT, {}).resolve(DOCUMENT["Resources"])
    resources = {name: resolved[name] for name in TABLES}
    for table in resources.values():
        for limited in (table["Properties"], *table["Properties"].get("GlobalSecondaryIndexes", ())):
            del limited["OnDemandThroughput"]
    body = {"Resources": resources, "Outputs": {name: {"Value": {"Ref": name}} for name in TABLES}}
    with mock_aws():
        cloud = boto3.client("cloudformation")
        client: Any = boto3.client("dynamodb")
        found = {}
        for stack in STACKS:
            cloud.create_stack(StackName=stack, TemplateBody=json.dumps(body))
            outputs = cloud.describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
            found[stack] = {each["OutputKey"]: each["OutputValue"] for each in outputs}
            for name, items in ITEMS.items() if stack in STACKS[:-1] else ():
                for item in items:
                    client.put_item(TableName=found[stack][name], Item=item)
        yield found


def read_value(shape: Any, text: str) -> Any:
    """Return a value of the AWS CLI: the text, a file's, JSON, or its shorthand for a structure."""
    if text.startswith("file://"):
        text = Path(text.removeprefix("file://")).read_text("utf-8")
    if shape.type_name in ("structure", "list") and text[:1] not in "[{":
        pairs = dict(pair.split("=") for pair in text.split(","))
        return {name: read_value(shape.members[name], value) for name, value in pairs.items()}
    if shape.type_name in ("structure", "list"):
        return json.loads(text)
    return text == "true" if shape.type_name == "boolean" else text


def read_call(command: str) -> tuple[str, str, dict[str, Any], str | None]:
    """Return service, operation, parameters and waiter of a command of the AWS CLI; it fails on what these lack."""
    program, service, verb, *arguments = shlex.split(command)
    assert program == "aws"
    waiter = None
    model = botocore.session.get_session().get_service_model(service)
    if verb == "wait":
        waiter = "".join(part.capitalize() for part in arguments.pop(0).split("-"))
        waiters = botocore.session.get_session().get_waiter_model(service)
        operation = model.operation_model(waiters.get_waiter(waiter).operation)
    else:
        operation = model.operation_model("".join(part.capitalize() for part in verb.split("-")))
    shape: Any = operation.input_shape
    members = {name.lower(): name for name in shape.members}
    parameters: dict[str, Any] = {}
    for option, value in zip(arguments[::2], arguments[1::2], strict=True):
        if option == "--region":
            assert re.fullmatch(r"[A-Z-]+|[a-z]+-[a-z]+-\d", value)
            continue
        name = members[option.removeprefix("--").replace("-", "")]
        parameters[name] = read_value(shape.members[name], value)
    report = ParamValidator().validate(parameters, shape)
    assert not report.has_errors(), report.generate_report()
    return service, operation.name, parameters, waiter


def call(command: str) -> None:
    service, operation, parameters, waiter = read_call(command)
    if find_reason(command) is not None:
        return
    connect: Any = boto3.client
    client = connect(service)
    if waiter is not None:
        client.get_waiter(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", waiter).lower()).wait(**parameters)
    else:
        getattr(client, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).lower())(**parameters)


@pytest.mark.parametrize("document", GUIDES)
def test_guides_commands_run(document: str, tables: dict[str, dict[str, str]], run: Run, tmp_path: Path) -> None:
    names = {
        "TABLE-restored": "restored",
        "OLD-DIRECTORY-TABLE": tables["pushreg"]["DirectoryTable"],
        "TABLE": tables["pushreg"]["PlacesTable"],
        "4927562634448402412": KSID,
        "$stack": "pushreg",
    }
    (tmp_path / FILE_NAME).symlink_to(PROJECT / FILE_NAME)
    (tmp_path / "token.txt").write_text("what-the-apps-send\n")
    assert run("apps", "add", "old-app", "--stack", "pushreg")[0] == 0
    done = []
    with contextlib.chdir(tmp_path):
        for shown in GUIDES[document]:
            command = shown
            for placeholder, name in names.items():
                command = re.sub(rf"(?<![\w-]){re.escape(placeholder)}(?![\w-])", name, command)
            program, *arguments = shlex.split(command)
            if program == "pushreg" and find_reason(command) is None:
                asks = arguments[0] in ("remove", "erase") or arguments[1] == "remove" or "--repair" in arguments
                code, out, problem = run(*arguments, *(["--yes"] if asks else []))
                # What these are to find is there: the new stack has 1.0.0's items and is not yet mended.
                finds = "pushreg-2" in arguments and "--repair" not in arguments
                assert code == int(finds), (command, out, problem)
            elif program == "aws":
                call(command)
            elif program == ".venv/bin/python":
                environ = {**os.environ, "PYTHONPATH": str(PROJECT)}
                subprocess.run([sys.executable, *arguments], check=True, env=environ, timeout=60)
            elif program == "stack=pushreg":
                pass
            else:
                assert find_reason(command) is not None, command
                continue
            done.append(shown)
    assert done


def test_guides_reasons_are_for_commands_that_are_there() -> None:
    assert {start for start in NOT_RUN if not any(command.startswith(start) for command in COMMANDS)} == set()
