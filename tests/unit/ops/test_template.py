import importlib
from pathlib import Path

import pytest

from pushreg.schema import DIRECTORY
from pushreg_local.errors import TemplateError
from pushreg_local.intrinsics import parse
from pushreg_local.template import ENDPOINT_PARAMETER, Cors, Route, find_template, load_template

PROJECT = Path(__file__).parents[3]

TEMPLATE = """
Parameters:
  Mode: {Type: String, Default: "off"}
  Days: {Type: Number, Default: 30}
  Secret: {Type: String}
  Origins: {Type: CommaDelimitedList, Default: "https://a.example, https://b.example"}
Conditions:
  Extra: !Not [!Equals [!Ref Mode, "off"]]
  Plain: !Equals [!Ref Mode, "off"]
  Both: !And [!Condition Plain, !Equals [!Ref Days, "30"]]
Mappings:
  Sizes: {small: {memory: 256}}
Globals:
  Function:
    Timeout: 9
    Environment: {Variables: {SHARED: shared, TABLE: overruled}}
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      CorsConfiguration: {AllowOrigins: !Ref Origins, AllowMethods: [GET], AllowHeaders: [x-a], MaxAge: 60}
  Things:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      TimeToLiveSpecification: {AttributeName: gone_at, Enabled: !If [Plain, true, false]}
      BillingMode: PROVISIONED
  Named:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Sub "${AWS::StackName}-named-${Days}"
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
  Unborn:
    Type: AWS::DynamoDB::Table
    Condition: Extra
    Properties: {AttributeDefinitions: [], KeySchema: []}
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      Handler: shop.app.handler
      MemorySize: !FindInMap [Sizes, small, memory]
      Environment:
        Variables:
          TABLE: !Ref Things
          NAMED: !Ref Named
          DAYS: !Ref Days
          FLAG: true
          WHERE: !Sub ["${Prefix}/${!Kept}/${AWS::Region}", {Prefix: !Join ["-", [a, !Ref Mode]]}]
          ARN: !GetAtt Things.Arn
          CHOSEN: !Select [1, !Split [",", "x,y"]]
          BOTH: !If [Both, "yes", "no"]
          ABSENT: !If [Extra, "here", !Ref AWS::NoValue]
      Events:
        One: {Type: HttpApi, Properties: {Method: get, Path: "/things/{id}"}}
        Any: {Type: HttpApi, Properties: {Method: "*", Path: "/other"}}
        Rest: {Type: HttpApi}
        Timer: {Type: Schedule, Properties: {Schedule: rate(1 day)}}
"""


def test_template_environment_is_resolved() -> None:
    (function,) = load_template(TEMPLATE).functions
    assert function.module == "shop.app"
    assert (function.timeout, function.memory) == (9, 256)
    assert dict(function.environment) == {
        "SHARED": "shared",
        "TABLE": "Things",
        "NAMED": "pushreg-local-named-30",
        "DAYS": "30",
        "FLAG": "true",
        "WHERE": "a-off/${Kept}/us-east-1",
        "ARN": "arn:aws:local:us-east-1:123456789012:Things.Arn",
        "CHOSEN": "y",
        "BOTH": "yes",
        "AWS_REGION": "us-east-1",
        "AWS_LAMBDA_FUNCTION_NAME": "Worker",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
    }


def test_template_parameter_overrides_default() -> None:
    template = load_template(TEMPLATE, {"Mode": "on"})
    assert template.functions[0].environment["ABSENT"] == "here"
    assert template.name_table("Unborn") == "Unborn"


def test_template_routes_come_from_function_events() -> None:
    assert load_template(TEMPLATE).routes == (
        Route("GET", "/things/{id}", "Worker"),
        Route("ANY", "/other", "Worker"),
    )
    assert load_template(TEMPLATE).greedy_routes == (Route("ANY", "$default", "Worker"),)
    assert [route.key for route in load_template(TEMPLATE).all_routes] == ["GET /things/{id}", "ANY /other", "$default"]


def test_template_tables_have_keys_ttl_and_name() -> None:
    things, named = load_template(TEMPLATE).tables
    assert things.definition == {
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    assert (things.name, things.expiry_attribute) == ("Things", "gone_at")
    assert (named.name, named.expiry_attribute) == ("pushreg-local-named-30", None)


def test_template_foreach_is_expanded() -> None:
    text = """
Resources:
  Fn::ForEach::Alarms:
    - Family
    - [Kazoo, Places]
    - ${Family}Alarm:
        Type: AWS::CloudWatch::Alarm
        Properties:
          AlarmDescription: !Sub Faults of ${Family}.
          Namespace: !Sub Pushreg/${AWS::StackName}/${Family}
          Dimensions: [{Name: FunctionName, Value: {Ref: !Sub "${Family}Function"}}]
          Threshold: !FindInMap [Thresholds, !Ref Family, Faults]
  Other: {Type: AWS::Logs::LogGroup}
"""
    resources = parse(text)["Resources"]
    assert list(resources) == ["KazooAlarm", "PlacesAlarm", "Other"]
    assert resources["PlacesAlarm"]["Properties"] == {
        "AlarmDescription": "Faults of Places.",
        "Namespace": {"Fn::Sub": "Pushreg/${AWS::StackName}/Places"},
        "Dimensions": [{"Name": "FunctionName", "Value": {"Ref": "PlacesFunction"}}],
        "Threshold": {"Fn::FindInMap": ["Thresholds", "Places", "Faults"]},
    }


def test_template_cors_comes_from_api() -> None:
    expected = Cors(("https://a.example", "https://b.example"), ("GET",), ("x-a",), (), 60)
    assert load_template(TEMPLATE).cors == expected
    assert load_template(TEMPLATE, {"Origins": "*"}).cors == Cors(("*",), ("GET",), ("x-a",), (), 60)
    every = load_template(TEMPLATE.replace("CorsConfiguration: {", "CorsConfiguration: true # {")).cors
    assert every == Cors(("*",), (), (), (), 0)
    without = load_template(TEMPLATE.replace("CorsConfiguration: {", "Description: none # {"))
    assert without.cors is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            TEMPLATE.replace("Resources:", "Resources:\n  Fn::ForEach::All: [Name, !Ref Origins, {}]"),
            "Fn::ForEach::All",
        ),
        ("a: [", "not YAML"),
        ("- a", "not a mapping"),
        ("Resources: {}", "no function with a route"),
        (TEMPLATE.replace("!Ref Things", "!Ref Nothing"), "Nothing"),
        (TEMPLATE.replace("!Ref Things", "!Ref Secret"), "Secret has no default"),
        (TEMPLATE.replace("!Ref Things", "!ImportValue x"), "Fn::ImportValue"),
        (TEMPLATE.replace("[Both,", "[Neither,"), "no condition Neither"),
    ],
)
def test_template_unsupported_content_raises_with_name(text: str, complaint: str) -> None:
    with pytest.raises(TemplateError, match=complaint):
        load_template(text)


def test_template_unknown_parameter_raises() -> None:
    with pytest.raises(TemplateError, match="no parameter Nope"):
        load_template(TEMPLATE, {"Nope": "1"})


def test_template_of_project_is_complete() -> None:
    template = load_template(find_template(PROJECT).read_text("utf-8"), {ENDPOINT_PARAMETER: "http://127.0.0.1:1"})
    assert len(template.functions) == 4
    assert {route.function for route in template.routes} == {function.name for function in template.functions}
    names = {table.name for table in template.tables}
    for function in template.functions:
        assert callable(importlib.import_module(function.module).create_handler)
        assert function.environment["DYNAMODB_ENDPOINT"] == "http://127.0.0.1:1"
        assert {function.environment.get("TABLE", DIRECTORY), function.environment["DIRECTORY_TABLE"]} <= names


def test_find_template_from_any_folder_returns_project_template(tmp_path: Path) -> None:
    assert find_template(PROJECT / "tests" / "unit") == PROJECT / "template.yaml"
    assert find_template(tmp_path) == PROJECT / "template.yaml"
