from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from pushreg.config import Settings
from pushreg.table import connect

SETTINGS = {"FAMILY": "test", "TABLE": "table", "DIRECTORY_TABLE": "directory"}


def test_a_local_engine_gets_none_of_the_machine_s_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "real")
    client: Any = connect(Settings.from_environ({**SETTINGS, "DYNAMODB_ENDPOINT": "http://127.0.0.1:1"}))
    assert client._request_signer._credentials.access_key == "local"
    assert client.meta.endpoint_url == "http://127.0.0.1:1"
    cloud: Any = connect(Settings.from_environ({**SETTINGS, "AWS_REGION": "eu-west-1"}))
    assert cloud._request_signer._credentials.access_key == "real"
    assert cloud.meta.region_name == "eu-west-1"


def test_botocore_s_own_retries_are_off() -> None:
    client: Any = connect(Settings.from_environ(SETTINGS))
    calls = []

    def refuse(**_: Any) -> None:
        calls.append(1)
        raise EndpointConnectionError(endpoint_url="test")

    client.meta.events.register("before-send", refuse)
    with pytest.raises(EndpointConnectionError):
        client.list_tables()
    assert calls == [1]
