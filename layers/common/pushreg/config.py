"""The functions' settings: the only reader of the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, Self

from pushreg.errors import ConfigurationError
from pushreg.schema import DEVICES, PLACES, SUBSCRIBERS

# The variables of the function that serves senders, by the table that they concern.
_TABLES = {DEVICES: "DEVICES_TABLE", SUBSCRIBERS: "SUBSCRIBERS_TABLE", PLACES: "PLACES_TABLE"}
_STALE_AFTER_DAYS = {
    DEVICES: "KAZOO_STALE_AFTER_DAYS",
    SUBSCRIBERS: "ENGAGEMENT_STALE_AFTER_DAYS",
    PLACES: "PLACES_STALE_AFTER_DAYS",
}


class Settings(NamedTuple):
    """A function's settings; the parameters of `template.yaml` describe each.

    A family has one `table`; `senders` has none, but all `tables` and the days after which their items expire, by the
    tables' logical ids.
    """

    family: str
    table: str
    directory_table: str
    region: str
    endpoint: str | None
    transport: Literal["direct", "boto3"]
    namespace: str
    function_version: str
    always_http_200: bool
    duplicate_as_update: bool
    stale_after_days: int
    tables: Mapping[str, str] = MappingProxyType({})
    table_stale_after_days: Mapping[str, int] = MappingProxyType({})

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the settings from a mapping, the process environment by default; ConfigurationError names a bad one."""
        variables = os.environ if environ is None else environ
        family = _required(variables, "FAMILY")
        is_senders = family == "senders"
        return cls(
            family=family,
            table="" if is_senders else _required(variables, "TABLE"),
            directory_table=_required(variables, "DIRECTORY_TABLE"),
            region=variables.get("AWS_REGION") or variables.get("AWS_DEFAULT_REGION") or "us-east-1",
            endpoint=variables.get("DYNAMODB_ENDPOINT") or None,
            transport=_transport(variables),
            namespace=variables.get("METRICS_NAMESPACE") or "Pushreg",
            function_version=variables.get("AWS_LAMBDA_FUNCTION_VERSION") or "local",
            always_http_200=_flag(variables, "ENGAGEMENT_ALWAYS_HTTP_200"),
            duplicate_as_update=_flag(variables, "ENGAGEMENT_DUPLICATE_AS_UPDATE"),
            stale_after_days=_days(variables, "STALE_AFTER_DAYS"),
            tables={table: _required(variables, name) for table, name in _TABLES.items()} if is_senders else {},
            table_stale_after_days=(
                {table: _days(variables, name) for table, name in _STALE_AFTER_DAYS.items()} if is_senders else {}
            ),
        )


def read_trace_id(environ: Mapping[str, str] | None = None) -> str | None:
    """Return the X-Ray trace of the invocation under way, None if it is not recorded."""
    variables = os.environ if environ is None else environ
    header = variables.get("_X_AMZN_TRACE_ID", "")
    fields = dict(part.split("=", 1) for part in header.split(";") if "=" in part)
    return fields.get("Root") if fields.get("Sampled") == "1" else None


class FeedSettings(NamedTuple):
    """The change feed's settings: the logical ids of the followed tables by their names, and the bus."""

    tables: Mapping[str, str]
    event_bus: str

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the settings from a mapping, the process environment by default; ConfigurationError names a bad one."""
        variables = os.environ if environ is None else environ
        tables = {_required(variables, name): table for table, name in _TABLES.items()}
        return cls(tables, _required(variables, "EVENT_BUS"))


def _required(variables: Mapping[str, str], name: str) -> str:
    value = variables.get(name)
    if not value:
        raise ConfigurationError(name, "is not set")
    return value


def _transport(variables: Mapping[str, str]) -> Literal["direct", "boto3"]:
    value = variables.get("TRANSPORT") or "direct"
    if value not in ("direct", "boto3"):
        raise ConfigurationError("TRANSPORT", "is neither direct nor boto3")
    return "direct" if value == "direct" else "boto3"


def _flag(variables: Mapping[str, str], name: str) -> bool:
    value = variables.get(name) or "false"
    if value not in ("true", "false"):
        raise ConfigurationError(name, "is neither true nor false")
    return value == "true"


def _days(variables: Mapping[str, str], name: str) -> int:
    value = variables.get(name) or "0"
    if not value.isascii() or not value.isdigit():
        raise ConfigurationError(name, "is not a whole number of days")
    return int(value)
