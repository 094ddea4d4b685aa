"""Least privilege: what the functions do and what their roles allow is the same.

No right is missing: every test that uses `tests.support.gateway.Gateway` calls functions restricted to
their roles. These tests show that no right is unused.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from pushreg.clock import to_iso
from pushreg_local.demo import ACCOUNT_ID
from pushreg_local.template import Function
from tests.support.calls import Engagement, Kazoo, Senders, answered, kazoo_data
from tests.support.contract.cases import load_cases
from tests.support.contract.playing import run_case
from tests.support.gateway import Gateway, read_template
from tests.support.roles import Grant, Restricted, read_grants, read_statements, to_grants
from tests.support.stored import Stored

FUNCTIONS = read_template().functions
# The files of cases in which things happen, not those of refusals.
STORIES = ("documented", "semantics", "outcomes")


@pytest.fixture(scope="module")
def used(stored: Stored) -> dict[str, set[Grant]]:
    """What each function did while the contract was played."""
    gateway = Gateway(stored.client)
    for case in load_cases():
        if case.kind.startswith(STORIES) and not case.given.special:
            run_case(case, gateway.send, stored)
    used = {name: client.used for name, client in gateway.clients.items()}
    used["SendersFunction"] |= report_dead_tokens(stored)
    return used


def report_dead_tokens(stored: Stored) -> set[Grant]:
    """Report tokens registered before, which no story of one moment can, and return what the function did."""
    now = datetime.now(UTC)
    kinds = {"one": ["chat"], "two": ["incoming_call"]}
    ids = {name: {"notification_preferences": kind, "notification_type": "fcm"} for name, kind in kinds.items()}
    kazoo = Kazoo(Gateway(stored.client, clock=lambda: now - timedelta(seconds=10)).send)
    assert kazoo.call("PUT", "desk", kazoo_data("phone", notification_registration_ids=ids)).status == 201
    subscribed = Engagement(Gateway(stored.client, clock=lambda: now - timedelta(seconds=10)).send)
    address = {"ksid": answered(subscribed.subscribe("phone", "sid"))[1], "sid": "sid"}
    gateway = Gateway(stored.client, clock=lambda: now)
    senders = Senders(gateway.send)
    verdict = {"provider": "fcm", "code": "UNREGISTERED", "at": to_iso(now)}
    assert senders.report(address | verdict).json["results"] == [{"status": "removed"}]
    for registration_id in ids:
        address = {"account_id": ACCOUNT_ID, "device_id": "desk", "registration_id": registration_id}
        assert senders.report(address | verdict).json["results"] == [{"status": "removed"}]
    return gateway.clients["SendersFunction"].used


@pytest.mark.slow
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_role_grants_are_all_used(function: Function, used: dict[str, set[Grant]]) -> None:
    assert used[function.name] == read_grants(function.name)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_role_has_read_only_access_to_directory(function: Function) -> None:
    actions = {action for action, table in read_grants(function.name) if table == "DirectoryTable"}
    assert actions <= {"dynamodb:GetItem", "dynamodb:BatchGetItem"}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_role_contains_no_wildcard(function: Function) -> None:
    statements = read_statements()[function.name]
    assert "*" not in json.dumps(statements)
    assert [sorted(statement) for statement in statements] == [["Action", "Effect", "Resource"]] * len(statements)
    family = function.name.removesuffix("Function")
    logs = {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"]}
    assert [each for each in statements if not each["Action"][0].startswith("dynamodb:")] == [
        {**logs, "Resource": {"Fn::GetAtt": [f"{family}Log", "Arn"]}}
    ]


def test_role_is_not_shared_between_functions() -> None:
    assert len({id(statements[0]) for statements in read_statements().values()}) == len(FUNCTIONS)


@pytest.mark.parametrize(
    ("operation", "parameters", "grants"),
    [
        ("get_item", {"TableName": "A"}, {("dynamodb:GetItem", "A")}),
        ("query", {"TableName": "A", "IndexName": "b"}, {("dynamodb:Query", "A/index/b")}),
        (
            "batch_get_item",
            {"RequestItems": {"A": 1, "B": 2}},
            {("dynamodb:BatchGetItem", "A"), ("dynamodb:BatchGetItem", "B")},
        ),
        ("transact_get_items", {"TransactItems": [{"Get": {"TableName": "A"}}]}, {("dynamodb:GetItem", "A")}),
        (
            "transact_write_items",
            {"TransactItems": [{"Put": {"TableName": "A"}}, {"ConditionCheck": {"TableName": "B"}}]},
            {("dynamodb:PutItem", "A"), ("dynamodb:ConditionCheckItem", "B")},
        ),
    ],
)
def test_grants_of_call_match_iam(operation: str, parameters: dict[str, object], grants: set[Grant]) -> None:
    assert set(to_grants(operation, parameters)) == grants


def test_restricted_client_disallowed_call_fails_test() -> None:
    client = Restricted(boto3.client("dynamodb"), "PlacesFunction")
    with pytest.raises(pytest.fail.Exception, match="role of PlacesFunction does not allow"):
        client.scan(TableName="PlacesTable")
    assert client.used == set()
