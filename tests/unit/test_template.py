"""template.yaml agrees with the code and with the documents."""

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

import bench.interpreter
import engagement.app
import kazoo.app
import places.app
import senders.app
import tools.package
from pushreg.config import FeedSettings, Settings
from pushreg.http import TIME_LIMIT, TIME_RESERVE
from pushreg.metrics import RequestLog
from pushreg.models.directory import TokenFamily
from pushreg.schema import USER_INDEX, USER_INDEX_PARTITION, USER_INDEX_SORT
from pushreg_local.intrinsics import Resolver, parse
from pushreg_local.template import load_template
from smoke.app import SmokeTest

PROJECT = Path(__file__).parents[2]
TEXT = (PROJECT / "template.yaml").read_text(encoding="utf-8")
DOCUMENT = parse(TEXT)
RESOLVED: dict[str, Any] = Resolver(DOCUMENT, {}).resolve(DOCUMENT["Resources"])
TEMPLATE = load_template(TEXT)
# Discard: nothing listens there.
CLOSED_PORT = "http://127.0.0.1:9"
STACK_NAMESPACE = "Pushreg/pushreg-local"
ROUTES = {
    f"{app.__name__.partition('.')[0]}.lambda_entry": {f"ANY {path}" for path in app.Dialect().routes}
    for app in (kazoo.app, engagement.app, places.app, senders.app)
}


def resources(kind: str) -> dict[str, dict[str, Any]]:
    return {name: each["Properties"] for name, each in RESOLVED.items() if each["Type"] == kind}


FUNCTIONS = resources("AWS::Serverless::Function")
TABLES = resources("AWS::DynamoDB::Table")
ALARMS = resources("AWS::CloudWatch::Alarm")


class FakeSsm:
    """A parameter store without the smoke test's credentials."""

    class exceptions:  # noqa: N801 As the client has it.
        ParameterNotFound = KeyError

    def get_parameter(self, **_: Any) -> Any:
        raise KeyError


class Watched(dict[str, str]):
    """An environment that remembers what was asked of it."""

    def __init__(self, variables: dict[str, str]) -> None:
        super().__init__(variables)
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)


def test_template_routes_lead_to_their_family() -> None:
    modules = {function.name: function.module for function in TEMPLATE.functions}
    routes: dict[str, set[str]] = {module: set() for module in modules.values()}
    for route in TEMPLATE.routes:
        routes[modules[route.function]].add(route.key)
    assert routes == ROUTES


def test_template_greedy_routes_lead_superfluous_slashes_to_every_family() -> None:
    modules = {function.name: function.module for function in TEMPLATE.functions}
    greedy = {(route.path.partition("{")[0], modules[route.function]) for route in TEMPLATE.greedy_routes}
    first = {(f"/{key.split('/')[1]}/", module) for module, keys in ROUTES.items() for key in keys}
    assert greedy == first | {("$default", "engagement.lambda_entry")}


def test_template_cors_allows_every_request_header_that_code_reads() -> None:
    header = re.compile(r"authorization|content-type|if-(none-)?match|x-(?!amz-)[a-z0-9-]+")
    read = {
        node.value
        for folder in ("functions", "layers/common/pushreg")
        for path in (PROJECT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and header.fullmatch(node.value)
    }
    # What browsers send by themselves: accept and user-agent. SDKs send an id that only the access log may show.
    sent_by_sdks = {"x-kony-requestid"}
    cors = RESOLVED["Api"]["Properties"]["CorsConfiguration"]
    assert {"x-auth-token", "x-device-authtoken", "if-match"} < read
    assert (read | sent_by_sdks) <= set(cors["AllowHeaders"])


def test_template_cors_exposes_every_response_header_that_is_documented() -> None:
    document = yaml.safe_load((PROJECT / "docs" / "openapi.yaml").read_text("utf-8"))
    documented = {name.lower() for name in document["components"]["headers"]}
    # CORS-safelisted response headers need no permission (Fetch standard).
    documented -= {"cache-control", "content-language", "content-length", "content-type", "expires"}
    assert "retry-after" in documented
    assert documented <= set(RESOLVED["Api"]["Properties"]["CorsConfiguration"]["ExposeHeaders"])


@pytest.mark.parametrize("function", TEMPLATE.functions, ids=lambda function: function.name)
def test_template_functions_read_every_variable(function: Any) -> None:
    environment = Watched(dict(function.environment))
    settings = Settings.from_environ(environment)
    assert settings.family == function.module.partition(".")[0]
    # Libraries read the others.
    assert {name for name in environment if not name.startswith(("AWS_", "PYDANTIC_"))} <= environment.asked


def test_template_user_index_is_the_one_in_the_schema() -> None:
    (index,) = TABLES["SubscribersTable"]["GlobalSecondaryIndexes"]
    assert index["IndexName"] == USER_INDEX
    assert [key["AttributeName"] for key in index["KeySchema"]] == [USER_INDEX_PARTITION, USER_INDEX_SORT]


def test_template_families_have_separate_tables() -> None:
    own = {
        function.module.partition(".")[0]: function.environment["TABLE"]
        for function in TEMPLATE.functions
        if function.name != "SendersFunction"
    }
    assert own == {"kazoo": "DevicesTable", "engagement": "SubscribersTable", "places": "PlacesTable"}
    assert {function.environment["DIRECTORY_TABLE"] for function in TEMPLATE.functions} == {"DirectoryTable"}


def test_template_function_timeout_exceeds_database_deadline() -> None:
    assert {function.timeout for function in TEMPLATE.functions} == {15}
    assert TIME_LIMIT + TIME_RESERVE < 15


@pytest.mark.parametrize("name", FUNCTIONS)
def test_template_functions_deploy_as_canary_with_alarm(name: str) -> None:
    family = name.removesuffix("Function")
    # The hook before traffic always, the alarm under a canary alone, and never the one that may be on already.
    for rollout, expected, alarms in (
        ("Canary", "Canary10Percent15Minutes", {"Alarms": [f"{family}CanaryAlarm"]}),
        ("AllAtOnce", "AllAtOnce", {"Alarms": []}),
    ):
        resolver = Resolver(DOCUMENT, {"Rollout": rollout})
        own = resolver.resolve(DOCUMENT["Resources"][name]["Properties"]["DeploymentPreference"])
        assert own == {**alarms, "Hooks": {"PreTraffic": "SmokeFunction"}}
        shared = resolver.resolve(DOCUMENT["Globals"]["Function"])
        assert shared["DeploymentPreference"]["Type"] == expected
    # A change of a layer alone has to make a new version.
    assert FUNCTIONS[name]["AutoPublishAliasAllProperties"] is True
    for layer in FUNCTIONS[name]["Layers"]:
        assert RESOLVED[layer]["Properties"]["PublishLambdaVersion"] is True


def test_template_tokens_layer_belongs_to_functions_that_accept_tokens() -> None:
    functions = {**FUNCTIONS, **resources("AWS::Lambda::Function")}
    accepting = {f"{family.title()}Function" for family in get_args(TokenFamily)}
    # The smoke test is deployed without a layer.
    assert {name: each["Layers"] for name, each in functions.items() if "Layers" in each} == {
        name: ["CommonLayer", "TokensLayer"] if name in accepting else ["CommonLayer"]
        for name in functions.keys() - {"SmokeFunction"}
    }
    assert accepting < functions.keys()


def test_template_layers_are_those_that_are_checked_and_measured() -> None:
    layers = {function.name: function.layers for function in TEMPLATE.functions}
    assert layers == bench.interpreter.LAYERS
    assert {layer for each in layers.values() for layer in each} == tools.package.LOCKS.keys()
    assert resources("AWS::Serverless::LayerVersion").keys() == tools.package.LOCKS.keys()


@pytest.mark.parametrize("name", resources("AWS::Serverless::LayerVersion"))
def test_template_layers_and_functions_share_architecture(name: str) -> None:
    for chosen in ("arm64", "x86_64"):
        resolver = Resolver(DOCUMENT, {"Architecture": chosen})
        layer = resolver.resolve(DOCUMENT["Resources"][name])
        assert layer["Properties"]["CompatibleArchitectures"] == [chosen]
        assert layer["Metadata"]["BuildArchitecture"] == chosen
        makefile = PROJECT / layer["Metadata"]["ContextPath"] / "Makefile"
        assert f"build-{name}:" in makefile.read_text("utf-8")
        assert resolver.resolve(DOCUMENT["Globals"]["Function"]["Architectures"]) == [chosen]
    assert Resolver(DOCUMENT, {}).resolve({"Ref": "Architecture"}) == "arm64"


@pytest.mark.parametrize("name", TABLES)
def test_template_tables_are_retained_and_backed_up(name: str) -> None:
    assert RESOLVED[name]["DeletionPolicy"] == RESOLVED[name]["UpdateReplacePolicy"] == "Retain"
    table = TABLES[name]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["DeletionProtectionEnabled"] == "true"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"] == {"SSEEnabled": True}


def test_template_tables_of_registrations_have_ttl() -> None:
    expiring = {table.logical_id: table.expiry_attribute for table in TEMPLATE.tables if table.expiry_attribute}
    assert expiring == dict.fromkeys(("DevicesTable", "SubscribersTable", "PlacesTable"), "expires_at")


@pytest.mark.parametrize("name", DOCUMENT["Parameters"])
def test_template_parameters_have_description_bounds_and_default(name: str) -> None:
    parameter = DOCUMENT["Parameters"][name]
    assert parameter["Description"].endswith(".")
    assert "Default" in parameter
    if parameter["Type"] == "Number":
        assert {"MinValue", "MaxValue"} <= set(parameter) or "AllowedValues" in parameter
        assert "AllowedValues" in parameter or parameter["MinValue"] <= parameter["Default"] <= parameter["MaxValue"]
    elif "AllowedPattern" in parameter:
        assert re.fullmatch(parameter["AllowedPattern"], parameter["Default"])
        assert "ConstraintDescription" in parameter
    elif parameter["Type"] != "CommaDelimitedList":
        assert parameter["Default"] in parameter["AllowedValues"]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("DomainName", "push.example.com", "https://push.example.com"),
        ("AlarmTopicArn", "arn:aws-cn:sns:cn-north-1:123456789012:ops", "ops"),
        ("CertificateArn", "arn:aws:acm:eu-west-1:123456789012:certificate/0a1b-2c", "0a1b-2c"),
        ("HostedZoneId", "Z0123456789ABCDEFGHIJ", "/hostedzone/Z0123456789"),
        ("DynamoDbEndpoint", "http://172.17.0.1:8000", "https://dynamodb.eu-west-1.amazonaws.com/"),
    ],
)
def test_template_parameter_patterns_reject_bad_values(name: str, good: str, bad: str) -> None:
    pattern = DOCUMENT["Parameters"][name]["AllowedPattern"]
    assert re.fullmatch(pattern, good)
    assert not re.fullmatch(pattern, bad)


def _metrics(value: Any) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield namespace, name and dimensions of every metric that an alarm's definition names."""
    if isinstance(value, list):
        for each in value:
            yield from _metrics(each)
    elif isinstance(value, dict):
        if "MetricName" in value:
            yield value["Namespace"], value["MetricName"], tuple(each["Name"] for each in value.get("Dimensions", []))
        for each in value.values():
            yield from _metrics(each)


@pytest.fixture
def emitted() -> set[tuple[str, tuple[str, ...]]]:
    """Names and dimensions of all metrics of the functions, as the functions write them."""
    lines: list[str] = []
    request_log = RequestLog(Settings.from_environ(TEMPLATE.functions[0].environment), lines.append)
    request_log.record("put", "fault", 500, 1.0, 1, "id", None)
    request_log.record("put", "denied", 401, 1.0, 1, "id", None)
    SmokeTest({"METRICS_NAMESPACE": STACK_NAMESPACE, "SECRETS_PARAMETER": "none"}, lambda _: FakeSsm(), lines.append)(
        {"api": CLOSED_PORT}, None
    )
    filters = resources("AWS::Logs::MetricFilter").values()
    return {
        (transformation["MetricName"], ()) for each in filters for transformation in each["MetricTransformations"]
    } | {
        (metric["Name"], tuple(dimensions))
        for line in lines
        for directive in json.loads(line)["_aws"]["CloudWatchMetrics"]
        for dimensions in directive["Dimensions"]
        for metric in directive["Metrics"]
    }


@pytest.mark.parametrize("name", ALARMS)
def test_template_alarms_watch_emitted_metrics(name: str, emitted: set[tuple[str, tuple[str, ...]]]) -> None:
    watched = list(_metrics(ALARMS[name]))
    assert watched
    for namespace, metric, dimensions in watched:
        if namespace == STACK_NAMESPACE:
            assert (metric, dimensions) in emitted
        else:
            assert (namespace, metric, dimensions) in {
                ("AWS/ApiGateway", "5xx", ("ApiId",)),
                ("AWS/Lambda", "Errors", ("FunctionName",)),
                ("AWS/Lambda", "Errors", ("FunctionName", "Resource", "ExecutedVersion")),
                ("AWS/Lambda", "Duration", ("FunctionName",)),
                ("AWS/Lambda", "Throttles", ("FunctionName",)),
                ("AWS/DynamoDB", "ReadThrottleEvents", ("TableName",)),
                ("AWS/DynamoDB", "WriteThrottleEvents", ("TableName",)),
                ("AWS/DynamoDB", "ReadThrottleEvents", ("TableName", "GlobalSecondaryIndexName")),
                ("AWS/DynamoDB", "WriteThrottleEvents", ("TableName", "GlobalSecondaryIndexName")),
                ("AWS/Lambda", "IteratorAge", ("FunctionName",)),
                ("AWS/SQS", "ApproximateNumberOfMessagesVisible", ("QueueName",)),
            }


def test_template_alarms_notify_optional_topic() -> None:
    topic = "arn:aws:sns:eu-west-1:123456789012:ops"
    for parameters, action in (({}, "AlarmTopic"), ({"AlarmTopicArn": topic}, topic)):
        resolver = Resolver(DOCUMENT, parameters)
        assert resolver.holds("HasOwnTopic") is (action == "AlarmTopic")
        resolved = resolver.resolve(DOCUMENT["Resources"])
        notified = {name for name in ALARMS if not name.endswith("CanaryAlarm")}
        for key in ("AlarmActions", "OKActions"):
            assert {tuple(resolved[name]["Properties"][key]) for name in notified} == {(action,)}
        # CodeDeploy looks at a canary's alarm; people hear of the deployment that failed.
        assert not any("AlarmActions" in resolved[name]["Properties"] for name in set(ALARMS) - notified)


def assert_rules(parameters: dict[str, str]) -> set[str]:
    """Return the rules that refuse a deployment with the parameters."""
    resolver = Resolver(DOCUMENT, parameters)
    return {
        name
        for name, rule in DOCUMENT["Rules"].items()
        if resolver.resolve(rule["RuleCondition"])
        and not all(resolver.resolve(each["Assert"]) for each in rule["Assertions"])
    }


@pytest.mark.parametrize(
    ("parameters", "refused"),
    [
        ({}, {"AlarmsNeedSomebody"}),
        ({"AlarmEmail": "ops@example.com"}, set()),
        ({"AlarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:ops"}, set()),
        ({"AllowUnattendedAlarms": "true"}, set()),
        ({"AlarmEmail": "ops@example.com", "DisableExecuteApi": "true"}, {"ClosedApiNeedsDomain"}),
        ({"AllowUnattendedAlarms": "true", "MonthlyBudget": "50"}, {"BudgetNeedsEmail"}),
        ({"AlarmEmail": "ops@example.com", "DomainName": "push.example.com"}, {"DomainNeedsCertificate"}),
    ],
)
def test_template_rules_refuse_what_would_hurt(parameters: dict[str, str], refused: set[str]) -> None:
    assert assert_rules(parameters) == refused


@pytest.mark.parametrize("user_agent", ["curl/8", '"', "\\", 'x","status":200,"status_word":"status_200","y":"', "}"])
def test_template_throttled_filter_counts_429_whatever_the_user_agent(user_agent: str) -> None:
    log_format = RESOLVED["Api"]["Properties"]["AccessLogSettings"]["Format"]
    (metric_filter,) = resources("AWS::Logs::MetricFilter").values()
    # A term, which CloudWatch looks for in the text: of a line that is no JSON it would read no field.
    assert re.fullmatch(r"\w+", metric_filter["FilterPattern"])
    for status, counts in (("429", True), ("200", False), ("503", False)):
        line = log_format.replace("$context.status", status).replace("$context.identity.userAgent", user_agent)
        assert (metric_filter["FilterPattern"] in line) == counts
    assert len(log_format) < 500


def test_template_routes_have_limits_of_their_family() -> None:
    api = DOCUMENT["Resources"]["Api"]["Properties"]
    modules = {function.name: function.module.partition(".")[0].capitalize() for function in TEMPLATE.functions}
    assert {key: each["ThrottlingRateLimit"] for key, each in api["RouteSettings"].items()} == {
        route.key: {"Ref": f"{modules[route.function]}RateLimit"}
        for route in TEMPLATE.all_routes
        if modules[route.function] in ("Kazoo", "Places")
    }
    assert api["DefaultRouteSettings"]["ThrottlingRateLimit"] == {"Ref": "ThrottlingRateLimit"}


def test_template_default_limits_bound_each_other() -> None:
    defaults = {name: each["Default"] for name, each in DOCUMENT["Parameters"].items()}
    # docs/operations.md#what-bounds-what: a request at its slowest takes 3 s and at most 10 calls of 12 units.
    slowest, units = 3, 10 * 12
    assert len(FUNCTIONS) * defaults["ReservedConcurrency"] <= 1000 - 100
    assert defaults["ReservedConcurrency"] * units / slowest <= defaults["MaxWriteUnits"]
    for name in TABLES:
        properties = DOCUMENT["Resources"][name]["Properties"]
        for limited in (properties, *properties.get("GlobalSecondaryIndexes", ())):
            assert limited["OnDemandThroughput"] == {
                "MaxReadRequestUnits": {"Ref": "MaxReadUnits"},
                "MaxWriteRequestUnits": {"Ref": "MaxWriteUnits"},
            }


def test_template_names_differ_between_regions_of_an_account() -> None:
    assert DOCUMENT["Resources"]["Dashboard"]["Properties"]["DashboardName"] == {
        "Fn::Sub": "${AWS::StackName}-${AWS::Region}"
    }
    for name in ("common", "tokens"):
        layer = DOCUMENT["Resources"][f"{name.title()}Layer"]["Properties"]
        assert layer["LayerName"] == {"Fn::Sub": f"${{AWS::StackName}}-{name}"}


def test_template_roles_take_permissions_boundary() -> None:
    boundary = "arn:aws:iam::123456789012:policy/boundary"
    for parameters, expected in (({}, None), ({"PermissionsBoundary": boundary}, boundary)):
        resolved = Resolver(DOCUMENT, parameters).resolve(DOCUMENT["Resources"])
        roles = [each["Properties"] for each in resolved.values() if each["Type"] == "AWS::IAM::Role"]
        assert len(roles) == len(FUNCTIONS) + 3
        assert {role.get("PermissionsBoundary") for role in roles} == {expected}


def test_template_without_change_feed_has_none_of_it() -> None:
    own = {name for name in DOCUMENT["Resources"] if name.startswith("Feed") or name.endswith("Feed")}
    assert own == {
        *("FeedFunction", "FeedRole", "FeedLog", "FeedBus", "FeedFailures", "FeedFailureAlarm", "FeedLagAlarm"),
        *("DevicesFeed", "SubscribersFeed", "PlacesFeed"),
    }
    assert {DOCUMENT["Resources"][name]["Condition"] for name in own} == {"HasChangeFeed"}
    followed = {"DevicesTable", "SubscribersTable", "PlacesTable"}
    for choice in ("true", "false"):
        resolver = Resolver(DOCUMENT, {"ChangeFeed": choice})
        assert resolver.holds("HasChangeFeed") is (choice == "true")
        resolved = resolver.resolve(DOCUMENT["Resources"])
        streams = {name for name in TABLES if resolved[name]["Properties"].get("StreamSpecification")}
        assert streams == (followed if choice == "true" else set())
    variables = Watched(RESOLVED["FeedFunction"]["Properties"]["Environment"]["Variables"])
    assert set(FeedSettings.from_environ(variables).tables) == followed
    assert variables.asked == set(variables)


def test_template_change_feed_role_may_do_what_lambda_demands_of_a_stream() -> None:
    # The permissions that Lambda's refusal of an event source mapping names.
    demanded = {"DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"}
    (policy,) = DOCUMENT["Resources"]["FeedRole"]["Properties"]["Policies"]
    (streams, *_) = policy["PolicyDocument"]["Statement"]
    assert set(streams["Action"]) == {f"dynamodb:{name}" for name in demanded}
    mapped = [each["EventSourceArn"] for each in resources("AWS::Lambda::EventSourceMapping").values()]
    assert Resolver(DOCUMENT, {"ChangeFeed": "true"}).resolve(streams["Resource"]) == mapped


def test_template_tracing_is_a_parameter() -> None:
    for value, mode in (("false", "PassThrough"), ("true", "Active")):
        resolver = Resolver(DOCUMENT, {"Tracing": value})
        assert resolver.resolve(DOCUMENT["Globals"]["Function"]["Tracing"]) == mode
        role = resolver.resolve(DOCUMENT["Resources"]["KazooRole"]["Properties"])
        policies = role.get("ManagedPolicyArns", [])
        assert policies == (["arn:aws:iam::aws:policy/AWSXRayDaemonWriteAccess"] if value == "true" else [])


@pytest.mark.parametrize("transport", ["direct", "boto3"])
def test_template_functions_with_tracing_use_boto3_transport(transport: str) -> None:
    for tracing, expected in (("false", transport), ("true", "boto3")):
        template = load_template(TEXT, {"Tracing": tracing, "Transport": transport})
        for function in template.functions:
            assert Settings.from_environ(function.environment).transport == expected


def test_template_heartbeat_periods_match_their_minutes() -> None:
    for minutes, each in DOCUMENT["Mappings"]["Heartbeats"].items():
        assert each["Seconds"] == (int(minutes) * 60 or 60)
    allowed = DOCUMENT["Parameters"]["HeartbeatMinutes"]["AllowedValues"]
    assert {str(value) for value in allowed} == set(DOCUMENT["Mappings"]["Heartbeats"])


def test_template_dashboard_shows_emitted_metrics(emitted: set[tuple[str, tuple[str, ...]]]) -> None:
    body = json.loads(RESOLVED["Dashboard"]["Properties"]["DashboardBody"])
    rows = [row for widget in body["widgets"] for row in widget["properties"].get("metrics", [])]
    searches = [row[0]["expression"] for row in rows if isinstance(row[0], dict)]
    pattern = re.compile(rf"SEARCH\('\{{\"{STACK_NAMESPACE}\",([a-z,]+)\}} MetricName=\"(\w+)\"', '\w+'\)")
    own = {(match[2], tuple(match[1].split(","))) for search in searches if (match := pattern.fullmatch(search))}
    assert {name for name, _ in own} == {"Latency", "Faults", "Denied", "Contended", "ColdStart"}
    assert own <= emitted
    foreign = {search.partition(" FunctionName=")[0] for search in searches if STACK_NAMESPACE not in search}
    assert foreign == {f'SEARCH(\'{{AWS/Lambda,FunctionName}} MetricName="{name}"' for name in ("Errors", "Throttles")}


def test_template_dashboard_shows_every_function_and_table() -> None:
    body = RESOLVED["Dashboard"]["Properties"]["DashboardBody"]
    for name in FUNCTIONS:
        assert body.count(f'\\"{name}\\"') == 2
        assert body.count(f"SOURCE '{name.removesuffix('Function')}Log'") == 2
    for name in TABLES:
        indexes = TABLES[name].get("GlobalSecondaryIndexes", ())
        assert body.count(f'"TableName", "{name}"') == 4 + 2 * len(indexes)
        for index in indexes:
            assert body.count(f'"TableName", "{name}", "GlobalSecondaryIndexName", "{index["IndexName"]}"') == 2


def test_template_dashboard_shows_every_alarm_that_is_always_there() -> None:
    body = json.loads(DOCUMENT["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])
    (shown,) = (widget["properties"]["alarms"] for widget in body["widgets"] if widget["type"] == "alarm")
    # People need not see what CodeDeploy acts on.
    wanted = {name for name in ALARMS if "Condition" not in RESOLVED[name] and not name.endswith("CanaryAlarm")}
    assert sorted(shown) == sorted(f"${{{name}.Arn}}" for name in wanted)


def test_template_has_alarms_for_every_family_and_table() -> None:
    families = {name.removesuffix("Function") for name in FUNCTIONS}
    kinds = ("Fault", "Canary", "Latency", "Throttle", "Denied", "Contended", "Registration")
    expected = {f"{family}{kind}Alarm" for family in families for kind in kinds} - {"SendersRegistrationAlarm"}
    shared = {"TakeoverAlarm", "ApiFaultAlarm", "ApiThrottleAlarm", "HeartbeatAlarm"}
    shared |= {"FeedFailureAlarm", "FeedLagAlarm", "SubscribersIndexThrottleAlarm"}
    assert set(ALARMS) == expected | shared | {f"{table}ThrottleAlarm" for table in TABLES}
    services = {name: each["Service"] for name, each in DOCUMENT["Mappings"]["Families"].items()}
    assert services == {
        family: FUNCTIONS[f"{family}Function"]["Environment"]["Variables"]["FAMILY"] for family in families
    }


def test_operations_guide_names_every_alarm_parameter_and_output() -> None:
    guide = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
    named = {*ALARMS, *DOCUMENT["Parameters"], *DOCUMENT["Outputs"]}
    assert {name for name in named if f"`{name}`" not in guide} == set()


def test_samconfig_overrides_existing_parameters() -> None:
    config = tomllib.loads((PROJECT / "samconfig.toml").read_text(encoding="utf-8"))
    assert {"default", "prod", "local"} == set(config) - {"version"}
    for section in ("default", "prod", "local"):
        overrides = config[section]["global"]["parameters"].get("parameter_overrides", [])
        Resolver(DOCUMENT, dict(each.split("=", 1) for each in overrides))
        assert (
            config[section].get("deploy", {}).get("parameters", {}).get("capabilities", "CAPABILITY_IAM")
            == "CAPABILITY_IAM"
        )
