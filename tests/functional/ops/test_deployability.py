"""The whole template through SAM's own transform into an emulator of CloudFormation, as far as that one goes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib.resources import files
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from pushreg_local.intrinsics import parse
from pushreg_local.template import find_template

REGION = "us-east-1"
DEPLOYER = Path(__file__).parents[3] / "docs" / "samples" / "deployer-policy.json"
REFERENCE = re.compile(r"\$\{(\w+)(?:\.[\w.]+)?\}")
PARAMETERS = {"AlarmEmail": "ops@example.com", "ChangeFeed": "true", "DeletionProtection": "false"}
# What the emulator cannot create. cfn-lint and SAM's transform are all that these go through.
UNKNOWN_TO_MOTO = {
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::ApiMapping",
    "AWS::ApiGatewayV2::DomainName",
    "AWS::ApiGatewayV2::Stage",
    "AWS::Budgets::Budget",
    "AWS::CloudWatch::Alarm",
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::Lambda::Alias",
    # Of an alias, which is not there.
    "AWS::Lambda::Permission",
    "AWS::Logs::MetricFilter",
    "AWS::SNS::Subscription",
}
# Permissions in the registry's schemas for what the template does not have; fnmatch patterns.
UNUSED = {
    "replicas, import, Kinesis and resource policies of tables": (
        "dynamodb:*TableReplica",
        "dynamodb:*Import*",
        "dynamodb:*ableKinesisStreamingDestination",
        "dynamodb:UpdateKinesisStreamingDestination",
        "dynamodb:[DP]*ResourcePolicy",
        "dynamodb:*Item",
        "dynamodb:Query",
        "dynamodb:Scan",
        "kinesis:*",
        "logs:CreateLogStream",
        "logs:DescribeLogStreams",
        "logs:PutLogEvents",
        "s3:GetObjectMetadata",
    ),
    "keys of KMS other than AWS's own, whose policies admit all who may call the service": ("kms:*", "logs:*KmsKey"),
    "networks and file systems of functions": ("ec2:*", "elasticfilesystem:*", "s3files:*"),
    "signed code, provisioned concurrency, and other settings that functions leave alone": (
        "lambda:GetCodeSigningConfig",
        "lambda:[DP]*FunctionCodeSigningConfig",
        "lambda:[DP]*ProvisionedConcurrencyConfig",
        "lambda:PutFunctionScalingConfig",
        "lambda:PutFunctionRecursionConfig",
        "lambda:PutRuntimeManagementConfig",
        "lambda:PassCapacityProvider",
        "lambda:AssociateRuntimeAlias",
        "s3:GetObjectVersion",
    ),
    "a body of the API in a bucket, and mutual TLS": ("s3:getObject", "apigateway:*Certificate*Domain"),
    "deployments to machines": ("codedeploy:RegisterOnPremisesInstance",),
    "other accounts on the bus": ("events:*Permission",),
    "data protection, indexes, deletion protection and deliveries of log groups": (
        "logs:[DP]*DataProtectionPolicy",
        "logs:DeleteIndexPolicy",
        "logs:PutIndexPolicy",
        "logs:PutBearerTokenAuthentication",
        "logs:PutLogGroupDeletionProtection",
        "logs:DeleteResourcePolicy",
        "firehose:*",
        "s3:REST.PUT.OBJECT",
    ),
    "data protection of the topic, and filters of its subscriptions": (
        "sns:PutDataProtectionPolicy",
        "sns:SetSubscriptionAttributes",
    ),
}
CALLED_BY_OTHERS = {
    # samcli/lib/deploy/deployer.py, and the waiters' DescribeStacks.
    "sam deploy": (
        "cloudformation:CreateChangeSet",
        "cloudformation:DescribeChangeSet",
        "cloudformation:DescribeStackEvents",
        "cloudformation:DescribeStacks",
        "cloudformation:ExecuteChangeSet",
        "cloudformation:GetTemplateSummary",
    ),
    # samcli/lib/package/s3_uploader.py; HeadObject needs ListBucket to tell what is missing.
    "sam package": ("s3:GetObject", "s3:ListBucket", "s3:PutObject"),
    # API Gateway developer guide, "Configure logging for HTTP APIs".
    "API Gateway, for its access log": (
        "logs:DeleteLogDelivery",
        "logs:GetLogDelivery",
        "logs:ListLogDeliveries",
        "logs:UpdateLogDelivery",
    ),
    # Its kind is not in the registry.
    "CloudFormation, for the records of Route 53": (
        "route53:ChangeResourceRecordSets",
        "route53:GetChange",
        "route53:GetHostedZone",
        "route53:ListResourceRecordSets",
    ),
}


def transform(rollout: str = "Canary") -> dict[str, Any]:
    """Return the template as SAM makes it; loops are expanded first, as AWS::LanguageExtensions does."""
    document = parse(find_template(Path(__file__)).read_text("utf-8"))
    document["Transform"] = "AWS::Serverless-2016-10-31"
    # `sam package` puts the code into a bucket.
    for resource in document["Resources"].values():
        properties = resource.get("Properties", {})
        if "ContentUri" in properties:
            properties["ContentUri"] = "s3://bucket/key"
        if resource["Type"] == "AWS::Lambda::Function":
            properties["Code"] = {"S3Bucket": "bucket", "S3Key": "key"}
    document["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
    session = boto3.Session(region_name=REGION)
    translator = Translator({}, Parser(), boto_session=session)
    translated: dict[str, Any] = translator.translate(document, {"Rollout": rollout, "AWS::Region": REGION})
    return translated


@pytest.fixture(scope="module")
def translated() -> dict[str, Any]:
    return transform()


def find(template: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [each for each in template["Resources"].values() if each["Type"] == kind]


def test_transform_makes_a_deployment_for_each_family(translated: dict[str, Any]) -> None:
    groups = find(translated, "AWS::CodeDeploy::DeploymentGroup")
    functions = {name for name in translated["Resources"] if name.endswith("Function")} - {
        "SmokeFunction",
        "FeedFunction",
    }
    assert len(groups) == len(functions)
    for group in groups:
        # No role of SAM's own, which would have no permissions boundary.
        assert group["Properties"]["ServiceRoleArn"] == {"Fn::GetAtt": ["CodeDeployRole", "Arn"]}
        (canary,) = group["Properties"]["AlarmConfiguration"]["Fn::If"][1]["Alarms"]
        assert canary["Name"]["Ref"].endswith("CanaryAlarm")
    assert "CodeDeployServiceRole" not in translated["Resources"]
    aliases = find(translated, "AWS::Lambda::Alias")
    for alias in aliases:
        hook = alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]["BeforeAllowTrafficHook"]
        assert hook == {"Ref": "SmokeFunction"}
    assert len(aliases) == len(functions)


def test_transform_has_no_circle(translated: dict[str, Any]) -> None:
    def refer(value: Any) -> Iterator[str]:
        if isinstance(value, list):
            for each in value:
                yield from refer(each)
        elif isinstance(value, dict):
            for key, each in value.items():
                match key, each:
                    case "Ref" | "DependsOn", str():
                        yield each
                    case "Fn::GetAtt", [str() as name, *_]:
                        yield name
                    case "Fn::Sub", _:
                        text = each if isinstance(each, str) else each[0]
                        yield from (part.partition("}")[0].partition(".")[0] for part in text.split("${")[1:])
                    case _:
                        yield from refer(each)

    resources = translated["Resources"]
    needs = {name: {each for each in refer(body) if each in resources} for name, body in resources.items()}
    while needs:
        ready = {name for name, others in needs.items() if not others & needs.keys()}
        assert ready, f"a circle among {', '.join(sorted(needs))}"
        needs = {name: others for name, others in needs.items() if name not in ready}


def detach(value: Any, gone: set[str]) -> Any:
    """Return the value with text in place of references to what is not created."""
    if isinstance(value, list):
        return [detach(each, gone) for each in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"Ref": str() as name} if name in gone:
            return name
        case {"Fn::GetAtt": [str() as name, str() as attribute]} if name in gone:
            return f"{name}.{attribute}"
        case {"Fn::Sub": str() as text}:
            return {"Fn::Sub": REFERENCE.sub(lambda match: match[1] if match[1] in gone else match[0], text)}
        case {"Fn::Sub": [str() as text, dict() as names]}:
            return {"Fn::Sub": [text, detach(names, gone)]}
    return {key: detach(each, gone) for key, each in value.items()}


def test_every_resource_is_created_or_known_to_be_left_out(translated: dict[str, Any]) -> None:
    resources = translated["Resources"]
    assert {each["Type"] for each in resources.values()} >= UNKNOWN_TO_MOTO
    wanted = {name: each for name, each in resources.items() if each["Type"] not in UNKNOWN_TO_MOTO}
    body = {key: translated[key] for key in ("Parameters", "Conditions", "Mappings")}
    body["Resources"] = detach(wanted, resources.keys() - wanted.keys())
    with mock_aws():
        boto3.client("s3", region_name=REGION).create_bucket(Bucket="bucket")
        boto3.client("s3", region_name=REGION).put_object(Bucket="bucket", Key="key", Body=b"")
        client = boto3.client("cloudformation", region_name=REGION)
        client.create_stack(
            StackName="pushreg",
            TemplateBody=json.dumps(body),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in PARAMETERS.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        pages = client.get_paginator("list_stack_resources").paginate(StackName="pushreg")
        created = {each["LogicalResourceId"]: each for page in pages for each in page["StackResourceSummaries"]}
        table = created["PlacesTable"]["PhysicalResourceId"]
        dynamodb = boto3.client("dynamodb", region_name=REGION)
        description = dynamodb.describe_table(TableName=table)["Table"]
    assert set(wanted) - set(created) == {"DomainRecords"}
    assert [key["AttributeName"] for key in description["KeySchema"]] == ["place_id", "token_digest"]


def read_handlers() -> dict[str, dict[str, Any]]:
    """Return CloudFormation's handlers by the kind of resource, from its registry's schemas, which cfn-lint brings."""
    handlers: dict[str, dict[str, Any]] = {}
    for path in (files("cfnlint") / "data" / "schemas" / "resources").iterdir():
        schema = json.loads(path.read_text("utf-8")) if path.name.endswith(".json") else {}
        if "handlers" in schema:
            handlers[schema["typeName"]] = schema["handlers"]
    return handlers


@pytest.mark.skipif(find_spec("cfnlint") is None, reason="cfn-lint brings the schemas: make check installs it")
def test_deployer_policy_allows_exactly_what_cloudformation_and_sam_call(translated: dict[str, Any]) -> None:
    handlers = read_handlers()
    kinds = {each["Type"] for each in translated["Resources"].values()}
    assert {kind for kind in kinds if kind not in handlers} == {"AWS::Route53::RecordSetGroup"}
    called = {
        permission
        for kind in kinds & handlers.keys()
        # Stacks are listed, not resources. Tables are retained.
        for verb in handlers[kind].keys() - ({"list", "delete"} if kind == "AWS::DynamoDB::Table" else {"list"})
        for permission in handlers[kind][verb]["permissions"]
    }
    unused = {each for each in called for pattern in chain(*UNUSED.values()) if fnmatchcase(each, pattern)}
    patterns = set(chain(*UNUSED.values()))
    assert [pattern for pattern in patterns if not any(fnmatchcase(each, pattern) for each in called)] == []
    statements = json.loads(DEPLOYER.read_text("utf-8"))["Statement"]
    allowed = {action for statement in statements for action in statement["Action"]}
    assert allowed == (called - unused) | set(chain(*CALLED_BY_OTHERS.values()))


# How CloudFormation creates what the template names itself; all other names begin with the stack's and a dash.
NAMED = {
    "AWS::Budgets::Budget": ("budgets:ModifyBudget", "arn:aws:budgets::ACCOUNT:budget/{Budget[BudgetName]}"),
    "AWS::CloudWatch::Dashboard": (
        "cloudwatch:PutDashboard",
        "arn:aws:cloudwatch::ACCOUNT:dashboard/{DashboardName}",
    ),
    "AWS::Events::EventBus": ("events:CreateEventBus", "arn:aws:events:REGION:ACCOUNT:event-bus/{Name}"),
    "AWS::Lambda::LayerVersion": ("lambda:PublishLayerVersion", "arn:aws:lambda:REGION:ACCOUNT:layer:{LayerName}"),
}


def test_deployer_policy_reaches_what_the_template_names(translated: dict[str, Any]) -> None:
    named = [each for kind in NAMED for each in find(translated, kind)]
    assert {each["Type"] for each in named} == NAMED.keys()
    values = {"AWS::StackName": "STACK", "AWS::Region": "REGION", "MonthlyBudget": "1", "AlarmEmail": "a@b"}
    statements = json.loads(DEPLOYER.read_text("utf-8"))["Statement"]
    for each in named:
        action, arn = NAMED[each["Type"]]
        names = json.loads(json.dumps(each["Properties"]), object_hook=lambda node: name_of(node, values))
        reached = [pattern for each in statements if action in each["Action"] for pattern in each["Resource"]]
        assert any(fnmatchcase(arn.format(**names), pattern) for pattern in reached), (arn.format(**names), reached)


def name_of(node: dict[str, Any], values: dict[str, str]) -> Any:
    """Return the text of a reference to one of the values, anything else as it is."""
    match node:
        case {"Ref": str() as name} if name in values:
            return values[name]
        case {"Fn::Sub": str() as text}:
            return re.sub(r"\$\{([\w:]+)\}", lambda match: values.get(match[1], match[0]), text)
    return node


def test_deployer_policy_reaches_no_item_and_no_role_of_others() -> None:
    statements = json.loads(DEPLOYER.read_text("utf-8"))["Statement"]
    actions = {action for statement in statements for action in statement["Action"]}
    assert not [action for action in actions if re.fullmatch(r"dynamodb:(\*|.*(Item|Items|Query|Scan).*)", action)]
    everywhere = {statement["Sid"] for statement in statements if "*" in statement["Resource"]}
    # Neither has a resource that a policy could name.
    assert everywhere == {"TemplateSummary", "AccessLogOfTheApi"}
    iam = [statement for statement in statements if any(each.startswith("iam:") for each in statement["Action"])]
    (linked,) = (statement for statement in iam if "iam:CreateServiceLinkedRole" in statement["Action"])
    assert len(linked["Action"]) == 1
    services = linked["Condition"]["StringEquals"]["iam:AWSServiceName"]
    assert linked["Resource"] == [f"arn:aws:iam::ACCOUNT:role/aws-service-role/{service}/*" for service in services]
    roles = [statement for statement in iam if statement is not linked]
    assert {tuple(statement["Resource"]) for statement in roles} == {("arn:aws:iam::ACCOUNT:role/STACK-*",)}
    (passing,) = (statement for statement in roles if "iam:PassRole" in statement["Action"])
    assert passing["Condition"]["StringEquals"]["iam:PassedToService"] == [
        "lambda.amazonaws.com",
        "codedeploy.amazonaws.com",
    ]
