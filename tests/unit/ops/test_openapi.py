from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from pushreg.models.places import Registration
from pushreg.models.text import VISIBLE
from pushreg_local.errors import TemplateError
from pushreg_local.template import Function, Route, Template
from tools.openapi.document import OTHER_METHODS, build
from tools.openapi.exchanges import Examples, Exchange
from tools.openapi.schemas import list_cases, read_model
from tools.openapi.text import HEADING, render


def describe(*routes: tuple[str, str], exchanges: tuple[Exchange, ...] = ()) -> dict[str, Any]:
    """Build the document of a template with these paths, each under the package that serves it."""
    packages = sorted({package for package, _ in routes})
    functions = tuple(Function(each, f"{each}.app", {}, timeout=7, memory=256) for each in packages)
    return build(Template(functions, tuple(Route("ANY", path, package) for package, path in routes), ()), exchanges)


def exchange(case: str = "places/other: x", **members: Any) -> Exchange:
    usual: Mapping[str, Any] = {
        "usual": True,
        "settings": {},
        "route": "/dts/places/{place_id}/subscriptions",
        "method": "PUT",
        "parameters": {"place_id": "a-place"},
        "headers": {"Content-Type": "application/json; charset=utf-8"},
        "request": b'{"device_token":"a"}',
        "status": 404,
        "answer_headers": {"content-type": "application/json"},
        "answer": b'{"error":"Not Found","message":"Place not found"}',
    }
    return Exchange(**{"case": case, **usual, **members})


def test_openapi_paths_come_from_template() -> None:
    document = describe(
        ("kazoo", "/v3/{account_id}/{app}/{device_id}"), ("engagement", "/here"), ("engagement", "/there/it")
    )
    assert list(document["paths"]) == ["/here", "/there/it", "/v3/{account_id}/{app}/{device_id}"]


def test_openapi_routes_of_one_function_share_responses() -> None:
    paths = describe(("engagement", "/here"), ("engagement", "/there/it"))["paths"]
    first, second = paths["/here"]["post"], paths["/there/it"]["post"]
    assert (first["operationId"], second["operationId"]) == ("subscribe", "subscribeThere")
    assert first["responses"] == second["responses"]
    assert all("$ref" in answer for answer in first["responses"].values())


def test_openapi_path_declares_405_with_allow() -> None:
    document = describe(("places", "/{place_id}"))
    name = document["paths"]["/{place_id}"][OTHER_METHODS]["$ref"].rpartition("/")[2]
    assert document["components"]["responses"][name]["headers"].keys() == {"Allow"}


def test_openapi_undescribed_function_raises() -> None:
    with pytest.raises(TemplateError, match="nobody describes billing"):
        describe(("billing", "/bills"))


def test_openapi_undescribed_path_parameter_raises() -> None:
    with pytest.raises(KeyError, match="shelf"):
        describe(("places", "/{shelf}"))


def test_openapi_examples_come_from_exchanges() -> None:
    path = "/dts/places/{place_id}/subscriptions"
    operation = describe(("places", path), exchanges=(exchange(),))["paths"][path]["put"]
    content = operation["responses"]["404"]["content"]["application/json"]
    assert content["example"] == {"error": "Not Found", "message": "Place not found"}
    assert "example" not in operation["requestBody"]["content"]["application/json"]


def test_openapi_distinct_responses_become_named_examples() -> None:
    path = "/dts/places/{place_id}/subscriptions"
    refusals = [
        exchange(status=400, answer=b'{"error":"Bad Request","message":"%s"}' % each) for each in (b"A b", b"C")
    ]
    operation = describe(("places", path), exchanges=tuple(refusals))["paths"][path]["put"]
    examples = operation["responses"]["400"]["content"]["application/json"]["examples"]
    assert {key: each["summary"] for key, each in examples.items()} == {"a-b": "A b", "c": "C"}


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (exchange("places/other: 1"), exchange("places/best: 2", usual=False)),
        (exchange("places/other: 1"), exchange("places/best: 2", request=b'{"ksid":"1"}')),
        (exchange("places/best: 1"), exchange("places/other: 2")),
        (exchange("places/other: 1"), exchange("places/other: 2")),
        (exchange("places/other: 1"), exchange("places/best: 2", settings={"X": "true"})),
    ],
    ids=["usual", "without ksid", "preferred file", "first", "default settings"],
)
def test_examples_best_exchange_is_chosen(better: Exchange, worse: Exchange) -> None:
    for order in ([better, worse], [worse, better]):
        if better.case.partition(":")[0] == worse.case.partition(":")[0] and order[0] is worse:
            continue
        found = Examples(order, lambda answer: answer["error"], ("places/best",)).find("PUT", 404, "application/json")
        assert [(each.title, each.exchange) for each in found] == [("Not Found", better)]


def test_examples_successes_cover_every_2xx_status() -> None:
    exchanges = [exchange(status=status, answer=b'{"error":"%d"}' % status) for status in (404, 201, 200)]
    found = Examples(exchanges, lambda answer: answer["error"], ()).find_successes("PUT")
    assert [each.title for each in found] == ["200", "201"]


def test_read_model_merges_model_and_overrides() -> None:
    schema = read_model(Registration, "Text.", {"device_token": {"description": "Token.", "maxLength": 9}})
    assert schema == {
        "type": "object",
        "description": "Text.",
        "required": ["device_token"],
        "properties": {"device_token": {"description": "Token.", "pattern": VISIBLE, "type": "string", "maxLength": 9}},
    }


def test_read_model_unknown_member_raises() -> None:
    with pytest.raises(KeyError, match="Registration has no token"):
        read_model(Registration, "Text.", {"device_token": {}, "token": {}})


def test_read_model_undescribed_member_raises() -> None:
    with pytest.raises(KeyError, match="device_token"):
        read_model(Registration, "Text.", {})


def test_list_cases_matches_words_in_any_case() -> None:
    assert list_cases("ab", "x8") == "([Aa][Bb]|[Xx]8)"


def test_render_yaml_uses_no_aliases() -> None:
    shared = {"type": "string"}
    document = {"one": shared, "two": shared, "text": "first\nsecond\n", "answer": {"200": True}}
    text = render(document)
    assert text.startswith(HEADING)
    assert yaml.safe_load(text) == document
    assert "*" not in text.removeprefix(HEADING)
    assert "text: |\n  first\n  second\n" in text
