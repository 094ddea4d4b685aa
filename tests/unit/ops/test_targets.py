import socket

import pytest
from botocore.exceptions import ReadTimeoutError

from pushreg_local.client import explain
from pushreg_local.engines.endpoint import ExistingEndpoint
from pushreg_local.errors import OperatorError
from pushreg_ops.registry import NoTargetError, open_registry


@pytest.mark.parametrize(("stack", "local"), [(None, False), ("prod", True)])
def test_open_registry_without_exactly_one_target_raises(stack: str | None, local: bool) -> None:
    with pytest.raises(NoTargetError):
        open_registry(stack, local, {})


@pytest.mark.parametrize("variable", ["PUSHREG_ENDPOINT", "DYNAMODB_PORT"])
def test_open_registry_local_stack_not_running_names_fix(variable: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        value = f"http://127.0.0.1:{port}" if variable == "PUSHREG_ENDPOINT" else str(port)
        with pytest.raises(OperatorError, match=f"nothing answers at http://127.0.0.1:{port}: start the local stack"):
            open_registry(None, True, {variable: value})


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1", "ftp://127.0.0.1:1", "http://:8000", "http://a:b", "http://a:1/path", "http://a:99999"],
)
def test_existing_endpoint_invalid_address_raises(address: str) -> None:
    with pytest.raises(OperatorError, match="is not a DynamoDB endpoint"):
        ExistingEndpoint(address)


def test_explain_read_timeout_is_not_reported_as_unreachable() -> None:
    with pytest.raises(OperatorError, match="took too long to answer"), explain("http://127.0.0.1:8000"):
        raise ReadTimeoutError(endpoint_url="http://127.0.0.1:8000")
