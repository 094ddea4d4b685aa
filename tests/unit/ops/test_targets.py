import socket

import pytest
from botocore.exceptions import ReadTimeoutError

from pushreg_local.client import explain
from pushreg_local.engines.endpoint import ExistingEndpoint
from pushreg_local.errors import OperatorError
from pushreg_ops.targets import NoTargetError, open_registry


@pytest.mark.parametrize(("stack", "local"), [(None, False), ("prod", True)])
def test_exactly_one_registry_is_to_be_named(stack: str | None, local: bool) -> None:
    with pytest.raises(NoTargetError):
        open_registry(stack, local, {})


@pytest.mark.parametrize("variable", ["PUSHREG_ENDPOINT", "DYNAMODB_PORT"])
def test_a_local_stack_that_is_not_running_is_refused_with_the_fix(variable: str) -> None:
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
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(OperatorError, match="no address of a DynamoDB"):
        ExistingEndpoint(address)


def test_a_database_that_gives_no_answer_is_not_taken_for_one_that_is_not_there() -> None:
    with pytest.raises(OperatorError, match="took too long to answer"), explain("http://127.0.0.1:8000"):
        raise ReadTimeoutError(endpoint_url="http://127.0.0.1:8000")
