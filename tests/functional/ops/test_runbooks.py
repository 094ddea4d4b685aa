"""The restore of docs/runbooks.md, step by step, against moto's DynamoDB and CloudFormation.

Moto restores a table as it is at the call, so the call is made at the moment to go back to. It imports no resources:
the stack is created from the same tables.yaml, and the restored items are copied into its tables.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws

from pushreg_local.errors import TemplateError
from pushreg_local.intrinsics import Resolver, parse
from pushreg_local.tables import TABLES
from pushreg_local.template import find_template
from pushreg_ops.registry import STALE_PARAMETERS
from tests.support.command import Run
from tools.tables import build_import

ACCOUNT = "0123456789abcdef0123456789abcdef"
DOCUMENT = parse(find_template(Path(__file__)).read_text("utf-8"))
RUNBOOKS = (Path(__file__).parents[3] / "docs" / "runbooks.md").read_text("utf-8")


@pytest.fixture
def aws() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("cloudformation")


def create_stack(aws: Any, name: str, resources: dict[str, Any]) -> dict[str, str]:
    """Create a stack of tables and return their names; nothing in it may be left to a transform."""
    body = {"Resources": resources, "Outputs": {table: {"Value": {"Ref": table}} for table in TABLES}}
    aws.create_stack(StackName=name, TemplateBody=json.dumps(body))
    outputs = aws.describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
    return {each["OutputKey"]: each["OutputValue"] for each in outputs}


def create_old_stack(aws: Any) -> dict[str, str]:
    resolved = Resolver(DOCUMENT, {}).resolve(DOCUMENT["Resources"])
    tables = {name: resolved[name] for name in TABLES}
    for table in tables.values():
        table["Properties"]["DeletionProtectionEnabled"] = True
        for limited in (table["Properties"], *table["Properties"].get("GlobalSecondaryIndexes", ())):
            del limited["OnDemandThroughput"]
    return create_stack(aws, "pushreg", tables)


def copy(client: Any, source: str, target: str) -> None:
    for item in client.scan(TableName=source)["Items"]:
        client.put_item(TableName=target, Item=item)


def call(command: str) -> None:
    """Run a command of the AWS CLI by the client that the CLI would use."""
    program, service, verb, *arguments = shlex.split(command)
    assert program == "aws"
    parameters: dict[str, Any] = {}
    for name, value in zip(arguments, [*arguments[1:], "--"], strict=True):
        if name.startswith("--"):
            key = "".join(part.capitalize() for part in name[2:].split("-"))
            if "=" in value:
                pairs = dict(pair.split("=") for pair in value.split(","))
                parameters[key] = {
                    field: text == "true" if text in ("true", "false") else text for field, text in pairs.items()
                }
            else:
                parameters[key] = True if value.startswith("--") else value
    connect: Any = boto3.client
    getattr(connect(service), verb.replace("-", "_"))(**parameters)


def issue(run: Run, *arguments: str) -> str:
    code, out, problem = run("keys", "issue", "--account", ACCOUNT, "--stack", "pushreg", "--json", *arguments)
    assert code == 0, problem
    key_id: str = json.loads(out)["key_id"]
    return key_id


def list_keys(run: Run, stack: str) -> set[str]:
    _, out, _ = run("keys", "list", "--stack", stack, "--json")
    return {each["key_id"] for each in json.loads(out)}


@pytest.mark.slow
def test_restore_mends_tables_and_revokes_revived_keys(aws: Any, run: Run) -> None:
    client: Any = boto3.client("dynamodb")
    old = create_old_stack(aws)
    assert run("accounts", "add", ACCOUNT, "--stack", "pushreg")[0] == 0
    kept, leaked = issue(run), issue(run)
    # Step 1, at the moment to which it goes back.
    restored = {table: f"{name}-restored" for table, name in old.items()}
    for table, name in old.items():
        client.restore_table_to_point_in_time(
            SourceTableName=name, TargetTableName=restored[table], UseLatestRestorableTime=True
        )
        copy(client, name, restored[table])
    assert run("keys", "revoke", leaked, "--stack", "pushreg")[0] == 0
    # Steps 2 to 4. The old stack goes after it is looked at, its tables stay by their DeletionPolicy.
    template, imports = build_import(DOCUMENT, restored)
    assert {each["LogicalResourceId"]: each["ResourceIdentifier"]["TableName"] for each in imports} == restored
    assert yaml.safe_load(yaml.safe_dump(template)) == template
    new = create_stack(aws, "pushreg-2", template["Resources"])
    for table, name in new.items():
        copy(client, restored[table], name)
    # Step 5: as imported they have neither expiry, recovery nor protection, and doctor says what turns each on.
    code, out, _ = run("doctor", "--stack", "pushreg-2", "--no-calls")
    assert code == 1
    commands = re.findall(r"`(aws [^`]+)`", out)
    assert len(commands) == len(TABLES) * 2 + len(STALE_PARAMETERS)
    for command in commands:
        call(command)
    # Step 6: moto keeps what the old stack had at its name.
    code, out, _ = run("doctor", "--stack", "pushreg-2", "--no-calls", "--revoked-since", old["DirectoryTable"])
    assert code == 1
    assert "aws " not in out
    revived = re.findall(r"`pushreg (keys revoke [^`]+)`", out)
    assert revived == [f"keys revoke {leaked}"]
    for command in revived:
        assert run(*shlex.split(command), "--stack", "pushreg-2")[0] == 0
    assert list_keys(run, "pushreg-2") == {kept}
    # Step 7, and nothing is left to be done.
    assert run("verify", "--stack", "pushreg-2")[0] == 0
    code, out, problem = run("doctor", "--stack", "pushreg-2", "--no-calls", "--revoked-since", old["DirectoryTable"])
    assert code == 0, out + problem


def test_import_template_leaves_all_to_the_deployment_that_a_restore_lacks() -> None:
    template, _ = build_import(DOCUMENT, dict.fromkeys(TABLES, "a-table"))
    for name, table in template["Resources"].items():
        assert table["DeletionPolicy"] == "Retain"
        assert {
            "PointInTimeRecoverySpecification",
            "TimeToLiveSpecification",
            "DeletionProtectionEnabled",
        }.isdisjoint(table["Properties"])
        full = DOCUMENT["Resources"][name]["Properties"]
        assert table["Properties"]["KeySchema"] == full["KeySchema"]
        # CloudFormation imports a template without transform, parameters or functions most easily.
        assert "Ref" not in json.dumps(table)


@pytest.mark.parametrize(
    "names", [{"DevicesTable": "a-table"}, {**dict.fromkeys(TABLES, "a-table"), "PlacesTable": ""}]
)
def test_import_template_needs_every_table(names: dict[str, str]) -> None:
    with pytest.raises(TemplateError, match="DevicesTable=NAME"):
        build_import(DOCUMENT, names)


@pytest.mark.slow
def test_smoke_test_credentials_are_issued_as_written(aws: Any, run: Run) -> None:
    create_old_stack(aws)
    section = RUNBOOKS.partition("## Give the smoke test credentials")[2].partition("\n## ")[0]
    commands = [line.strip() for line in section.splitlines() if line.strip().startswith("pushreg ")]
    assert len(commands) == 6
    for command in commands:
        code, _, problem = run(*shlex.split(command.replace("$stack", "pushreg"))[1:])
        assert code == 0, problem
    assert len(list_keys(run, "pushreg")) == 3
