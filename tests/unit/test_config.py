from __future__ import annotations

import pytest

from pushreg.config import Settings, read_trace_id
from pushreg.errors import ConfigurationError

ENVIRON = {"FAMILY": "places", "TABLE": "tokens", "DIRECTORY_TABLE": "directory"}


def test_settings_without_variables_use_defaults() -> None:
    assert Settings.from_environ(ENVIRON) == Settings(
        family="places",
        table="tokens",
        directory_table="directory",
        region="us-east-1",
        endpoint=None,
        transport="direct",
        namespace="Pushreg",
        function_version="local",
        always_http_200=False,
        duplicate_as_update=False,
        stale_after_days=0,
    )


def test_settings_read_every_variable() -> None:
    said = {
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-2",
        "AWS_LAMBDA_FUNCTION_VERSION": "7",
        "DYNAMODB_ENDPOINT": "http://127.0.0.1:8000",
        "ENGAGEMENT_ALWAYS_HTTP_200": "true",
        "ENGAGEMENT_DUPLICATE_AS_UPDATE": "true",
        "METRICS_NAMESPACE": "Mine",
        "STALE_AFTER_DAYS": "270",
        "TRANSPORT": "boto3",
    }
    assert Settings.from_environ({**ENVIRON, **said}) == Settings(
        family="places",
        table="tokens",
        directory_table="directory",
        region="eu-west-1",
        endpoint="http://127.0.0.1:8000",
        transport="boto3",
        namespace="Mine",
        function_version="7",
        always_http_200=True,
        duplicate_as_update=True,
        stale_after_days=270,
    )


def test_settings_of_senders_name_all_tables_and_their_days() -> None:
    tables = {"DEVICES_TABLE": "devices", "SUBSCRIBERS_TABLE": "subscribers", "PLACES_TABLE": "places"}
    days = {"ENGAGEMENT_STALE_AFTER_DAYS": "30", "PLACES_STALE_AFTER_DAYS": "270"}
    environ = {"FAMILY": "senders", "DIRECTORY_TABLE": "directory", **tables, **days}
    settings = Settings.from_environ(environ)
    assert settings.tables == {"DevicesTable": "devices", "SubscribersTable": "subscribers", "PlacesTable": "places"}
    assert settings.table_stale_after_days == {"DevicesTable": 0, "SubscribersTable": 30, "PlacesTable": 270}
    for name in tables:
        with pytest.raises(ConfigurationError, match=name):
            Settings.from_environ({**environ, name: ""})


def test_settings_without_region_use_default_region() -> None:
    assert Settings.from_environ({**ENVIRON, "AWS_DEFAULT_REGION": "eu-west-2"}).region == "eu-west-2"


def test_settings_empty_value_counts_as_unset() -> None:
    empty = dict.fromkeys(("DYNAMODB_ENDPOINT", "ENGAGEMENT_ALWAYS_HTTP_200", "STALE_AFTER_DAYS"), "")
    assert Settings.from_environ({**ENVIRON, **empty}) == Settings.from_environ(ENVIRON)


@pytest.mark.parametrize("name", ENVIRON)
@pytest.mark.parametrize("value", [None, ""])
def test_settings_missing_variable_raises_with_name(name: str, value: str | None) -> None:
    environ = {key: text for key, text in ENVIRON.items() if key != name} | ({} if value is None else {name: value})
    with pytest.raises(ConfigurationError, match=f"^{name}: is not set$") as caught:
        Settings.from_environ(environ)
    assert caught.value.name == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENGAGEMENT_ALWAYS_HTTP_200", "True"),
        ("ENGAGEMENT_ALWAYS_HTTP_200", "1"),
        ("ENGAGEMENT_DUPLICATE_AS_UPDATE", "yes"),
        ("STALE_AFTER_DAYS", "-1"),
        ("STALE_AFTER_DAYS", "1.5"),
        ("STALE_AFTER_DAYS", "\u0663"),
        ("STALE_AFTER_DAYS", "soon"),
        ("TRANSPORT", "Direct"),
    ],
)
def test_settings_invalid_value_raises_without_value(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name}: is n") as caught:
        Settings.from_environ({**ENVIRON, name: value})
    assert caught.value.name == name
    assert value not in str(caught.value)


def test_settings_default_to_process_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    assert Settings.from_environ().table == "tokens"


def test_settings_are_immutable() -> None:
    with pytest.raises(AttributeError):
        Settings.from_environ(ENVIRON).table = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            "1-5759e988-bd862e3fe1be46a994272793",
        ),
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0", None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_trace_id_is_read_only_from_recorded_traces(header: str, expected: str | None) -> None:
    assert read_trace_id({"_X_AMZN_TRACE_ID": header}) == expected
