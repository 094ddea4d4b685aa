"""The clients of a deployed stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from pushreg_local.client import CONNECTIONS, AdminClient, explain
from pushreg_local.errors import OperatorError

_CONFIG = Config(
    # Our own code builds every request; botocore's validation takes a third of an import's time.
    parameter_validation=False,
    connect_timeout=5,
    read_timeout=30,
    retries={"mode": "standard", "total_max_attempts": 5},
    max_pool_connections=CONNECTIONS,
)


def connect_stack(name: str, region: str | None) -> tuple[AdminClient, Mapping[str, str], Mapping[str, str]]:
    """Return a client in the stack's region, the stack's outputs and its parameters; OperatorError on failure.

    Without a region, AWS_DEFAULT_REGION or the profile determines it.
    """
    with _explain_settings(), explain(f"the stack {name}"):
        # The AWS CLI reads AWS_REGION; boto3 does not, so the caller passes it.
        session = boto3.Session(region_name=region or None)
        formation: Any = session.client("cloudformation", config=_CONFIG)
        client = cast("AdminClient", session.client("dynamodb", config=_CONFIG))
    with _explain_settings(), explain(f"the stack {name} in {formation.meta.region_name}"):
        (stack,) = formation.describe_stacks(StackName=name)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", [])}
    return client, outputs, parameters


@contextmanager
def _explain_settings() -> Iterator[None]:
    # What botocore says of an address, or of a credential process's output, that it cannot use.
    try:
        yield
    except ValueError as error:
        raise OperatorError(f"the AWS configuration is not usable: {error}; check ~/.aws/config and AWS_*") from error


def identify(name: str, region: str | None) -> str:
    """Return the ARN of the caller's IAM identity; OperatorError on failure."""
    with explain(f"the stack {name}"):
        tokens: Any = boto3.Session(region_name=region or None).client("sts", config=_CONFIG)
        arn: str = tokens.get_caller_identity()["Arn"]
    return arn


def connect_streams(client: Any) -> Any:
    """Return a client of the streams beside a client of the tables, local or deployed."""
    if client.meta.endpoint_url.startswith("http://"):
        session = boto3.Session("local", "local", region_name=client.meta.region_name)
        return session.client("dynamodbstreams", endpoint_url=client.meta.endpoint_url, config=_CONFIG)
    return boto3.client("dynamodbstreams", region_name=client.meta.region_name, config=_CONFIG)


def call_unless(call: Callable[..., dict[str, Any]], *codes: str, **parameters: Any) -> dict[str, Any] | None:
    """Return the call's response, None if it fails with one of the error codes."""
    try:
        return call(**parameters)
    except ClientError as error:
        if error.response["Error"]["Code"] in codes:
            return None
        raise
