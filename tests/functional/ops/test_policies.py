"""The operator's IAM policy of docs/samples: what all subcommands call, and nothing more."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.handlers
import pytest
from moto import mock_aws

from pushreg_local.tables import TABLES
from pushreg_local.template import find_template, load_template
from pushreg_ops.commands.options import reach
from pushreg_ops.registry import STALE_PARAMETERS
from pushreg_ops.streams import FOLLOWED, Follower
from tests.support.command import Run

PROJECT = Path(__file__).parents[3]
POLICY = json.loads((PROJECT / "docs" / "samples" / "operator-policy.json").read_text("utf-8"))
TEMPLATE = load_template(find_template(Path(__file__)).read_text("utf-8"))
ACCOUNT = "c0ffee00c0ffee00c0ffee00c0ffee00"
PLACE = "1ee68c4e-7008-4227-a92d-e1b13ac64f30"
# A transaction needs what its members need (AWS docs, "IAM permissions for DynamoDB transactions").
MEMBERS = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
ITEMS: dict[str, list[Any]] = json.loads((Path(__file__).parent / "data" / "items-1.0.0.json").read_text("utf-8"))


@pytest.fixture
def called() -> Iterator[set[str]]:
    """The IAM actions of all calls that any client makes until the test ends."""
    actions: set[str] = set()

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        if model.name == "TransactWriteItems":
            actions.update(f"dynamodb:{MEMBERS[kind]}" for each in params["TransactItems"] for kind in each)
        elif model.name == "TransactGetItems":
            actions.add("dynamodb:GetItem")
        elif model.name != "GetCallerIdentity":  # Needs no permission (AWS STS API reference).
            actions.add(f"{model.service_model.service_name}:{model.name}")

    handler = ("provide-client-params", note)
    botocore.handlers.BUILTIN_HANDLERS.append(handler)
    try:
        yield actions
    finally:
        botocore.handlers.BUILTIN_HANDLERS.remove(handler)


@pytest.fixture
def tables() -> Iterator[dict[str, str]]:
    """A stack's tables with 1.0.0's items and some broken ones, by their logical ids."""
    with mock_aws():
        resources = {
            each.logical_id: {"Type": "AWS::DynamoDB::Table", "Properties": dict(each.definition)}
            for each in TEMPLATE.tables
        }
        body = {"Resources": resources, "Outputs": {table: {"Value": {"Ref": table}} for table in TABLES}}
        cloud = boto3.client("cloudformation")
        cloud.create_stack(StackName="prod", TemplateBody=json.dumps(body))
        outputs = cloud.describe_stacks(StackName="prod")["Stacks"][0]["Outputs"]
        names = {each["OutputKey"]: each["OutputValue"] for each in outputs}
        client: Any = boto3.client("dynamodb")
        for table, items in ITEMS.items():
            for item in items:
                client.put_item(TableName=names[table], Item=item)
        # What the emulator's stack leaves off; with it off, doctor would not call the API.
        for name in names.values():
            client.update_continuous_backups(
                TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
            )
        for table in STALE_PARAMETERS:
            expiry = {"Enabled": True, "AttributeName": "expires_at"}
            client.update_time_to_live(TableName=names[table], TimeToLiveSpecification=expiry)
        for table in FOLLOWED:
            stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
            client.update_table(TableName=names[table], StreamSpecification=stream)
        # Claims without what they lead to, and a subscription without its claim.
        for item in ITEMS["DevicesTable"]:
            if item["record"]["S"].startswith("mobile#"):
                client.delete_item(
                    TableName=names["DevicesTable"], Key={key: item[key] for key in ("account_id", "record")}
                )
                break
        for item in ITEMS["SubscribersTable"]:
            if item["record"]["S"].startswith("ksid#"):
                client.delete_item(TableName=names["SubscribersTable"], Key={"record": item["record"]})
                break
        yield names


class FakeStreams:
    """The API of streams, which the emulator lacks; notes its actions."""

    def __init__(self, called: set[str]) -> None:
        self._called = called

    def describe_stream(self, **_: Any) -> dict[str, Any]:
        self._called.add("dynamodb:DescribeStream")
        return {"StreamDescription": {"Shards": [{"ShardId": "shard"}]}}

    def get_shard_iterator(self, **_: Any) -> dict[str, Any]:
        self._called.add("dynamodb:GetShardIterator")
        return {"ShardIterator": "iterator"}

    def get_records(self, **_: Any) -> dict[str, Any]:
        self._called.add("dynamodb:GetRecords")
        return {"Records": []}


def run_all(run: Run, called: set[str], folder: Path) -> None:
    """Run every subcommand that reaches a stack, in each way that calls something else."""
    exported = folder / "all.jsonl"
    for arguments in (
        ("accounts", "add", "a" * 32),
        ("accounts", "list"),
        ("accounts", "remove", "a" * 32),
        ("places", "add", "00000000-0000-4000-8000-000000000000"),
        ("places", "list"),
        ("places", "remove", "00000000-0000-4000-8000-000000000000"),
        ("apps", "add", "an-app"),
        ("apps", "list"),
        ("apps", "open", "an-app"),
        ("audit",),
        ("issuers", "list"),
        ("erase", "--ufid", "nobody", "--yes"),
        ("apps", "remove", "an-app"),
        ("keys", "issue", "--account", ACCOUNT),
        ("keys", "list"),
        ("show", "desk"),
        ("stats",),
        ("doctor", "--no-calls"),
        # Nothing answers there, and its test data is removed all the same.
        ("doctor", "--api", "http://127.0.0.1:9"),
        ("verify",),
        ("verify", "--repair", "--yes"),
        ("export", str(exported), "--directory", "--keys"),
        ("import", str(exported)),
    ):
        code, out, problem = run(*arguments, "--stack", "prod")
        assert code in (0, 1), (arguments, out, problem)
        assert "Traceback" not in problem
    _, out, _ = run("keys", "list", "--stack", "prod", "--json")
    key_id = json.loads(out)[0]["key_id"]
    assert run("keys", "revoke", key_id, "--stack", "prod")[0] == 0
    # What `tail` does until Ctrl-C.
    with reach("prod", local=False) as registry:
        list(Follower(registry, FakeStreams(called)).poll())


@pytest.mark.slow
def test_operator_policy_allows_exactly_what_subcommands_call(
    tables: dict[str, str], called: set[str], run: Run, tmp_path: Path
) -> None:
    called.clear()
    run_all(run, called, tmp_path)
    allowed = {action for statement in POLICY["Statement"] for action in statement["Action"]}
    assert called == allowed


def test_operator_policy_names_the_stacks_resources() -> None:
    resources = [each for statement in POLICY["Statement"] for each in statement["Resource"]]
    assert all(re.fullmatch(r"arn:aws:\w+:REGION:ACCOUNT:[\w-]+/STACK[\w/*-]*", each) for each in resources)
