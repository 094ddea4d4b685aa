"""Reads functions, routes and tables from template.yaml, their only definition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pushreg_local.errors import TemplateError
from pushreg_local.intrinsics import REGION, Resolver, parse, to_text

FILE_NAME = "template.yaml"
ENDPOINT_PARAMETER, FEED_PARAMETER = "DynamoDbEndpoint", "ChangeFeed"
_TABLE_PROPERTIES = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "LocalSecondaryIndexes")


@dataclass(frozen=True, slots=True)
class Route:
    """One route of the HTTP API; method ANY matches all methods, path `$default` what no other route matches."""

    method: str
    path: str
    function: str

    @property
    def key(self) -> str:
        """The route's name in an event."""
        return self.path if self.path == "$default" else f"{self.method} {self.path}"

    @property
    def is_greedy(self) -> bool:
        """Whether it matches all paths below its own, or all that no other route matches."""
        return self.path == "$default" or self.path.endswith("+}")


@dataclass(frozen=True, slots=True)
class Function:
    """One Lambda function: its handler's module, environment and limits, and the logical ids of its layers."""

    name: str
    module: str
    environment: Mapping[str, str]
    timeout: int
    memory: int
    layers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """One DynamoDB table; `definition` are parameters of CreateTable."""

    logical_id: str
    name: str
    definition: Mapping[str, Any]
    expiry_attribute: str | None


@dataclass(frozen=True, slots=True)
class Cors:
    """CORS settings of the API (AWS::Serverless::HttpApi, CorsConfiguration)."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    exposed: tuple[str, ...]
    max_age: int


@dataclass(frozen=True, slots=True)
class Template:
    """The parts of the template that the local stack serves.

    `greedy_routes` take what `routes` do not: paths with superfluous slashes, and unknown ones.
    """

    functions: tuple[Function, ...]
    routes: tuple[Route, ...]
    tables: tuple[Table, ...]
    cors: Cors | None = None
    greedy_routes: tuple[Route, ...] = ()

    @property
    def all_routes(self) -> tuple[Route, ...]:
        """Both kinds of routes."""
        return self.routes + self.greedy_routes

    def name_table(self, logical_id: str) -> str:
        """Return the local name of the table; TemplateError if there is none."""
        for table in self.tables:
            if table.logical_id == logical_id:
                return table.name
        raise TemplateError(f"the template has no table {logical_id}")


def find_template(start: Path) -> Path:
    """Return the template of the checkout that contains `start`, else of the one that contains this code."""
    here = Path(__file__).resolve()
    for folder in (start.resolve(), *start.resolve().parents, *here.parents):
        if (folder / FILE_NAME).is_file() and (folder / "functions").is_dir():
            return folder / FILE_NAME
    raise TemplateError(f"no {FILE_NAME} in {start} or above; run the command in a checkout of the project")


def load_template(text: str, parameters: Mapping[str, str] | None = None) -> Template:
    """Return the template with its parameters' defaults, or those given; TemplateError for unsupported content."""
    document = parse(text)
    resolver = Resolver(document, parameters or {})
    defaults = document.get("Globals", {}).get("Function", {})
    functions, routes, tables = [], [], []
    cors = None
    for name, resource in document.get("Resources", {}).items():
        if not resolver.holds(resource.get("Condition")):
            continue
        properties = resource.get("Properties", {})
        if resource.get("Type") == "AWS::Serverless::Function":
            functions.append(_read_function(resolver, name, defaults, properties))
            routes += _read_routes(resolver, name, properties)
        elif resource.get("Type") == "AWS::DynamoDB::Table":
            tables.append(_read_table(resolver, name, properties))
        elif resource.get("Type") == "AWS::Serverless::HttpApi" and "CorsConfiguration" in properties:
            cors = _read_cors(resolver.resolve(properties["CorsConfiguration"]))
    if not routes:
        raise TemplateError("the template has no function with a route of an HTTP API")
    documented = tuple(route for route in routes if not route.is_greedy)
    greedy = tuple(route for route in routes if route.is_greedy)
    return Template(tuple(functions), documented, tuple(tables), cors, greedy)


def _read_function(
    resolver: Resolver, name: str, defaults: Mapping[str, Any], properties: Mapping[str, Any]
) -> Function:
    merged = {**defaults, **properties}
    variables = {
        **defaults.get("Environment", {}).get("Variables", {}),
        **properties.get("Environment", {}).get("Variables", {}),
    }
    module, _, _ = str(resolver.resolve(merged["Handler"])).rpartition(".")
    memory = int(resolver.resolve(merged.get("MemorySize", 128)))
    environment = {key: to_text(value) for key, value in resolver.resolve(variables).items()}
    # Set by Lambda itself (AWS docs, "Defined runtime environment variables").
    environment |= {
        "AWS_REGION": REGION,
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory),
    }
    timeout = int(resolver.resolve(merged.get("Timeout", 3)))
    layers = tuple(resolver.resolve(merged.get("Layers", [])))
    return Function(name, module, environment, timeout, memory, layers)


def _read_routes(resolver: Resolver, function: str, properties: Mapping[str, Any]) -> list[Route]:
    routes = []
    for event in properties.get("Events", {}).values():
        if event.get("Type") == "HttpApi":
            source = resolver.resolve(event.get("Properties", {}))
            method = str(source.get("Method", "ANY")).upper()
            routes.append(Route("ANY" if method == "*" else method, source.get("Path", "$default"), function))
    return routes


def _read_table(resolver: Resolver, logical_id: str, properties: Mapping[str, Any]) -> Table:
    definition = {name: resolver.resolve(properties[name]) for name in _TABLE_PROPERTIES if properties.get(name)}
    # Local engines are not limited.
    for index in definition.get("GlobalSecondaryIndexes", ()):
        index.pop("OnDemandThroughput", None)
    definition["BillingMode"] = "PAY_PER_REQUEST"
    stream = resolver.resolve(properties.get("StreamSpecification"))
    if stream:
        definition["StreamSpecification"] = {"StreamEnabled": True, **stream}
    expiry = resolver.resolve(properties.get("TimeToLiveSpecification")) or {}
    enabled = to_text(expiry.get("Enabled", False)) == "true"
    return Table(
        logical_id,
        resolver.resolve(properties.get("TableName", logical_id)),
        definition,
        expiry.get("AttributeName") if enabled else None,
    )


def _read_cors(configuration: Any) -> Cors:
    if not isinstance(configuration, dict):
        # `true` stands for every origin.
        configuration = {"AllowOrigins": ["*"]} if configuration else {}
    return Cors(
        origins=tuple(configuration.get("AllowOrigins", ())),
        methods=tuple(configuration.get("AllowMethods", ())),
        headers=tuple(configuration.get("AllowHeaders", ())),
        exposed=tuple(configuration.get("ExposeHeaders", ())),
        max_age=int(configuration.get("MaxAge", 0)),
    )
