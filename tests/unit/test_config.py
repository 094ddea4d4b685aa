from __future__ import annotations

import dataclasses

import pytest

from pushreg.config import Settings
from pushreg.errors import ConfigurationError

ENVIRON = {"FAMILY": "places", "TABLE": "tokens", "DIRECTORY_TABLE": "directory"}


def test_what_is_not_said_has_a_default() -> None:
    assert Settings.from_environ(ENVIRON) == Settings(
        family="places",
        table="tokens",
        directory_table="directory",
        region="us-east-1",
        endpoint=None,
        namespace="Pushreg",
        function_name="local",
        always_http_200=False,
        duplicate_as_update=False,
        stale_after_days=0,
    )


def test_what_is_said_counts() -> None:
    said = {
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-2",
        "AWS_LAMBDA_FUNCTION_NAME": "places-function",
        "DYNAMODB_ENDPOINT": "http://127.0.0.1:8000",
        "ENGAGEMENT_ALWAYS_HTTP_200": "true",
        "ENGAGEMENT_DUPLICATE_AS_UPDATE": "true",
        "METRICS_NAMESPACE": "Mine",
        "STALE_AFTER_DAYS": "270",
    }
    assert Settings.from_environ({**ENVIRON, **said}) == Settings(
        family="places",
        table="tokens",
        directory_table="directory",
        region="eu-west-1",
        endpoint="http://127.0.0.1:8000",
        namespace="Mine",
        function_name="places-function",
        always_http_200=True,
        duplicate_as_update=True,
        stale_after_days=270,
    )


def test_the_default_region_is_the_second_choice() -> None:
    assert Settings.from_environ({**ENVIRON, "AWS_DEFAULT_REGION": "eu-west-2"}).region == "eu-west-2"


def test_an_empty_value_is_none_at_all() -> None:
    empty = dict.fromkeys(("DYNAMODB_ENDPOINT", "ENGAGEMENT_ALWAYS_HTTP_200", "STALE_AFTER_DAYS"), "")
    assert Settings.from_environ({**ENVIRON, **empty}) == Settings.from_environ(ENVIRON)


@pytest.mark.parametrize("name", ENVIRON)
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_name_is_named(name: str, value: str | None) -> None:
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
    ],
)
def test_a_bad_value_is_named_and_not_repeated(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name}: is n") as caught:
        Settings.from_environ({**ENVIRON, name: value})
    assert caught.value.name == name
    assert value not in str(caught.value)


def test_the_process_environment_is_read_when_no_other_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    assert Settings.from_environ().table == "tokens"


def test_settings_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings.from_environ(ENVIRON).table = "other"  # type: ignore[misc]
