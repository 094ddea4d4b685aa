"""The commands with `--stack`: the tables are found by the outputs of a CloudFormation stack."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from pushreg_local.tables import TABLES
from pushreg_local.template import find_template, load_template
from tests.support.command import Run

ACCOUNT = "0123456789abcdef0123456789abcdef"
TEMPLATE = load_template(find_template(Path(__file__)).read_text("utf-8"))


@pytest.fixture
def deploy() -> Iterator[Callable[..., Any]]:
    """Deploys tables with outputs in place of a stack, in an imitation of AWS."""
    with mock_aws():

        def deploy(name: str, outputs: tuple[str, ...] = TABLES) -> Any:
            resources = {
                table.logical_id: {"Type": "AWS::DynamoDB::Table", "Properties": dict(table.definition)}
                for table in TEMPLATE.tables
            }
            body = {"Resources": resources, "Outputs": {table: {"Value": {"Ref": table}} for table in outputs}}
            boto3.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(body))
            return boto3.client("dynamodb")

        yield deploy


def test_stack_is_found_by_its_outputs(deploy: Callable[..., Any], run: Run) -> None:
    client = deploy("prod")
    assert run("accounts", "add", ACCOUNT, "--stack", "prod") == (0, f"account {ACCOUNT} added\n", "")
    (name,) = [name for name in client.list_tables()["TableNames"] if "DirectoryTable" in name]
    records = sorted(item["record"]["S"] for item in client.scan(TableName=name)["Items"])
    assert records[0] == f"account#{ACCOUNT}"
    assert [record.partition("#")[0] for record in records[1:]] == ["audit"]


def test_stack_missing_is_refused(deploy: Callable[..., Any], run: Run) -> None:
    code, _, problem = run("keys", "list", "--stack", "absent")
    assert (code, "no such stack" in problem, "AWS_REGION" in problem) == (1, True, True)


def test_stack_region_comes_from_aws_region(
    deploy: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    deploy("prod")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert run("keys", "list", "--stack", "prod") == (0, "", "")
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    code, _, problem = run("keys", "list", "--stack", "prod")
    assert (code, "the stack prod in us-west-2" in problem) == (1, True)


def test_stack_without_outputs_is_refused(deploy: Callable[..., Any], run: Run) -> None:
    deploy("other", outputs=("DevicesTable",))
    code, _, problem = run("keys", "list", "--stack", "other")
    assert (code, "no output SubscribersTable, PlacesTable, DirectoryTable" in problem) == (1, True)


def test_stack_without_aws_credentials_names_fix(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    code, _, problem = run("keys", "list", "--stack", "prod")
    assert (code, "aws configure" in problem) == (1, True)


def test_stack_without_region_names_fix(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    code, _, problem = run("keys", "list", "--stack", "prod")
    assert (code, "AWS_REGION" in problem) == (1, True)
