"""The client of a DynamoDB endpoint, and AWS errors explained to an operator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, cast
from urllib.parse import SplitResult, urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from pushreg.dynamodb import Client
from pushreg_local.errors import OperatorError
from pushreg_local.intrinsics import REGION

# An import has several workers.
CONNECTIONS = 32
_ONE_TRY = Config(
    # Our own code builds every request; botocore's validation takes a third of an import's time.
    parameter_validation=False,
    connect_timeout=2,
    # DynamoDB Local handles one request at a time, and an import keeps it busy.
    read_timeout=30,
    retries={"total_max_attempts": 1},
    max_pool_connections=CONNECTIONS,
)


class AdminClient(Client, Protocol):
    """A DynamoDB client that also handles tables, and items without a condition."""

    def put_item(self, **parameters: Any) -> dict[str, Any]: ...
    def delete_item(self, **parameters: Any) -> dict[str, Any]: ...
    def scan(self, **parameters: Any) -> dict[str, Any]: ...
    def list_tables(self, **parameters: Any) -> dict[str, Any]: ...
    def delete_table(self, **parameters: Any) -> dict[str, Any]: ...
    def create_table(self, **parameters: Any) -> dict[str, Any]: ...
    def describe_table(self, **parameters: Any) -> dict[str, Any]: ...
    def describe_time_to_live(self, **parameters: Any) -> dict[str, Any]: ...
    def update_time_to_live(self, **parameters: Any) -> dict[str, Any]: ...
    def describe_continuous_backups(self, **parameters: Any) -> dict[str, Any]: ...
    def update_table(self, **parameters: Any) -> dict[str, Any]: ...


def split_address(text: str) -> SplitResult | None:
    """Return the parts of an http or https URL with a host and, if it names one, a valid port; None for other texts."""
    try:
        parts = urlsplit(text)
        is_known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if is_known else None


def connect_endpoint(endpoint: str) -> AdminClient:
    """Return a client for a local endpoint, without retries and without the machine's AWS credentials.

    OperatorError if the endpoint is not a URL that botocore accepts.
    """
    session = boto3.Session("local", "local", region_name=REGION)
    try:
        client = session.client("dynamodb", endpoint_url=endpoint, config=_ONE_TRY)
    except ValueError as error:
        raise OperatorError(f"{endpoint!r} is no address of a DynamoDB: use one like http://127.0.0.1:8000") from error
    return cast("AdminClient", client)


def is_answering(client: AdminClient) -> bool:
    """Return whether the endpoint can list tables."""
    try:
        client.list_tables(Limit=1)
    except (BotoCoreError, ClientError):
        return False
    return True


@contextmanager
def explain(
    target: str,
    *,
    unreachable: str = "check the network and AWS_REGION",
    incomplete: str = "deploy the stack again, or check AWS_REGION",
) -> Iterator[None]:
    """Convert AWS errors in the block into OperatorError with a fix.

    `unreachable` is the fix if nothing answers at the target, `incomplete` if a table is missing.
    """
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise OperatorError(
            "no AWS credentials were found: run `aws configure`, or set AWS_PROFILE or AWS_ACCESS_KEY_ID"
        ) from error
    except NoRegionError as error:
        raise OperatorError("no AWS region is set: set AWS_REGION to the stack's region") from error
    except ProfileNotFound as error:
        raise OperatorError(f"{error}: set AWS_PROFILE to one that exists") from error
    except (SSOError, TokenRetrievalError) as error:
        raise OperatorError(f"{error}: sign in again (`aws sso login`)") from error
    except ReadTimeoutError as error:
        raise OperatorError(f"{target} took too long to answer: try again when it is less busy") from error
    except (ConnectTimeoutError, EndpointConnectionError, HTTPClientError) as error:
        raise OperatorError(f"nothing answers at {target}: {unreachable}") from error
    except ClientError as error:
        answer = error.response["Error"]
        if not answer.get("Code") or answer["Code"].isdigit():
            # An error without a code of AWS: a web server, such as the API itself.
            raise OperatorError(f"what answers at {target} is not AWS: check the address and the port") from error
        if answer.get("Code") == "ResourceNotFoundException":
            raise OperatorError(f"a table of {target} is missing: {incomplete}") from error
        raise OperatorError(_explain(target, answer.get("Code", ""), answer.get("Message", ""))) from error
    except BotoCoreError as error:
        raise OperatorError(f"{target} cannot be reached: {error}") from error
    except ResponseParserError as error:
        raise OperatorError(f"what answers at {target} is not DynamoDB: check the address and the port") from error


def _explain(target: str, code: str, message: str) -> str:
    match code:
        case "ValidationError" if "does not exist" in message:
            return f"there is no such stack: {target}; check --stack and AWS_REGION"
        case "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation":
            return f"AWS denied access: {message}; use credentials with the permission (AWS_PROFILE)"
        case "ExpiredToken" | "ExpiredTokenException" | "RequestExpired":
            return "the AWS credentials have expired: sign in again (`aws sso login`)"
        case "InvalidClientTokenId" | "UnrecognizedClientException" | "SignatureDoesNotMatch":
            return "AWS does not know these credentials: check AWS_PROFILE or AWS_ACCESS_KEY_ID"
    return f"{target}: {message or code}"
