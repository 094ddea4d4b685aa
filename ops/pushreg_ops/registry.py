"""Selects and opens a registry: a deployed stack, or the local one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pushreg.errors import StoreError
from pushreg.schema import DEVICES, DIRECTORY, PLACES, SUBSCRIBERS
from pushreg_local.client import AdminClient, connect_endpoint, explain, split_address
from pushreg_local.errors import OperatorError
from pushreg_local.ready_file import find_running
from pushreg_local.tables import TABLES
from pushreg_local.template import find_template, load_template
from pushreg_ops.aws import connect_stack, identify

ENDPOINT_VARIABLE = "PUSHREG_ENDPOINT"
STACK_VARIABLE = "PUSHREG_STACK"
DEFAULT_PORT = 8000
DEFAULT_API_PORT = 3000
# The stack's parameters by the table whose registrations expire, and the functions' variable for each.
STALE_PARAMETERS = {
    DEVICES: "KazooStaleAfterDays",
    SUBSCRIBERS: "EngagementStaleAfterDays",
    PLACES: "PlacesStaleAfterDays",
}
STALE_VARIABLE = "STALE_AFTER_DAYS"


class NoTargetError(OperatorError):
    """The options select no registry, or two."""


LOCAL_FIXES = {
    "unreachable": "start the local stack with `pushreg local`, or set DYNAMODB_PORT to its port",
    "incomplete": "`pushreg local` creates it; if that uses another database, set DYNAMODB_PORT to its port",
}


@dataclass(frozen=True, slots=True)
class Registry:
    """The tables of one registry and a client for them.

    `address` is the API's URL, `stale_after_days` is by table, `fixes` are arguments of `explain`.
    `identify` returns who the caller is, for audit entries.
    """

    description: str
    client: AdminClient
    tables: Mapping[str, str]
    address: str = ""
    stale_after_days: Mapping[str, int] = field(default_factory=dict)
    fixes: Mapping[str, str] = field(default_factory=dict)
    identify: Callable[[], str] = lambda: "local"
    is_local: bool = False

    @property
    def directory(self) -> str:
        """The name of the Directory table."""
        return self.tables[DIRECTORY]


def open_registry(stack: str | None, local: bool, environ: Mapping[str, str]) -> Registry:
    """Return the registry; OperatorError if it does not exist or cannot be reached."""
    endpoint = environ.get(ENDPOINT_VARIABLE)
    if stack and local:
        raise NoTargetError("--stack and --local are mutually exclusive")
    if not (stack or local):
        stack = environ.get(STACK_VARIABLE)
        if stack and endpoint:
            raise NoTargetError(f"{STACK_VARIABLE} and {ENDPOINT_VARIABLE} are both set: use --stack NAME or --local")
    if stack:
        registry = _open_stack(stack, environ.get("AWS_REGION"))
    elif local or endpoint:
        registry = _open_local(endpoint, environ)
    else:
        raise NoTargetError(f"no registry selected: use --stack NAME or --local, or set {STACK_VARIABLE}")
    with explain(registry.description, **registry.fixes):
        registry.client.describe_table(TableName=registry.directory)
    return registry


@contextmanager
def explain_failures(registry: Registry) -> Iterator[None]:
    """Convert failures of the registry's tables inside the block into OperatorError with a fix."""
    try:
        with explain(registry.description, **registry.fixes):
            yield
    except StoreError as error:
        raise OperatorError(f"{registry.description} did not answer ({error.code}): try again") from error


def _open_stack(name: str, region: str | None) -> Registry:
    client, outputs, parameters = connect_stack(name, region)
    missing = [table for table in TABLES if table not in outputs]
    if missing:
        raise OperatorError(
            f"the stack {name} has no output {', '.join(missing)}: not a Pushreg stack, or an outdated one"
        )
    tables = {table: outputs[table] for table in TABLES}
    days = {table: int(parameters.get(name, "0")) for table, name in STALE_PARAMETERS.items()}
    return Registry(
        f"the stack {name}", client, tables, outputs.get("ApiUrl", ""), days, identify=lambda: identify(name, region)
    )


def _open_local(endpoint: str | None, environ: Mapping[str, str]) -> Registry:
    template_file = find_template(Path.cwd())
    running = find_running(Path.cwd()) or find_running(template_file.parent) or {}
    port, api_port = environ.get("DYNAMODB_PORT"), environ.get("PORT")
    for name, each in (("DYNAMODB_PORT", port), ("PORT", api_port)):
        if each and not (each.isascii() and each.isdecimal() and 0 < int(each) <= 65535):
            raise NoTargetError(f"{name} is {each!r}, which is no port: set it to a number, or unset it")
    if endpoint is None:
        running_endpoint = running.get("dynamodb_endpoint", f"http://127.0.0.1:{DEFAULT_PORT}")
        endpoint = f"http://127.0.0.1:{port}" if port else running_endpoint
    elif split_address(endpoint) is None:
        raise NoTargetError(f"{ENDPOINT_VARIABLE} is {endpoint!r}, which is no address: use http://127.0.0.1:8000")
    address = f"http://127.0.0.1:{api_port or DEFAULT_API_PORT}"
    if not api_port and running.get("dynamodb_endpoint") == endpoint:
        address = running["address"]
    template = load_template(template_file.read_text("utf-8"))
    tables = {table: template.name_table(table) for table in TABLES}
    variables = [function.environment for function in template.functions]
    days = {
        table: int(each.get(STALE_VARIABLE, "0"))
        for table in STALE_PARAMETERS
        for each in variables
        if each.get("TABLE") == tables[table]
    }
    return Registry(endpoint, connect_endpoint(endpoint), tables, address, days, LOCAL_FIXES, is_local=True)
