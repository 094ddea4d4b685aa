"""The contract runner: it must find differences, or every case would pass."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.support.contract.cases import ROOT, Expectation, Request, load_cases
from tests.support.contract.filling import build_body, fill
from tests.support.contract.matching import MISSING, differences


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"a": 1.0}),
        ({"a": 1}, {}),
        ({}, {"a": 1}),
        ({"a": {}}, {"a": []}),
        ([1, 2], [2, 1]),
        ([1], [1, 1]),
        ("x", "x "),
        (None, MISSING),
        ({"$re": "^x$"}, "yx"),
        ({"$re": "x"}, 5),
        ({"$any": True}, MISSING),
        ({"$absent": True}, None),
        ({"$same": "bound"}, "other"),
        ({"$same": "new"}, MISSING),
        ({"$not": 1}, 1),
        ({"$not": 1}, MISSING),
        ({"$one_of": [1, 2]}, 3),
        ({"$set": [1, 2]}, [1]),
        ({"$range": [400, 404]}, 405),
        ({"$words": ["PUT", "DELETE"]}, "PUT"),
        ({"a": {"$re": "x", "$not": "x"}}, {"a": "x"}),
    ],
)
def test_matcher_difference_is_reported(expected: Any, actual: Any) -> None:
    assert list(differences(expected, actual, {"bound": "value"}))


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
        ({"a": {"$absent": True}, "b": {"$optional": True}}, {}),
        ({"$re": "^x"}, "xy"),
        ({"$same": "bound"}, "value"),
        ({"$set": [1, 2]}, [2, 1]),
        ({"$range": [400, 404]}, 404),
        ({"$words": ["PUT", "DELETE"]}, "DELETE, PUT"),
    ],
)
def test_matcher_equal_values_have_no_difference(expected: Any, actual: Any) -> None:
    assert list(differences(expected, actual, {"bound": "value"})) == []


def test_matcher_same_compares_with_bound_value() -> None:
    bindings: dict[str, Any] = {}

    assert list(differences({"$same": "ksid"}, "1", bindings)) == []
    assert list(differences({"$same": "ksid"}, "2", bindings))


def test_matcher_unknown_operator_raises() -> None:
    with pytest.raises(KeyError):
        list(differences({"$regex": "x"}, "x", {}))


@pytest.mark.parametrize("model", [Request, Expectation])
def test_case_misspelt_member_raises(model: type[Request] | type[Expectation]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate({"method": "GET", "path": "/", "status": 200, "headerz": {}})


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("{value}", [5]),
        ("a-{name}-{value}", "a-x-[5]"),
        ("{outer}", "x/x"),
        ('{"data":{}} {unknown}', '{"data":{}} {unknown}'),
        ("{sha256:{name}}", sha256(b"x").hexdigest()),
        ("{repeat:{name}y*3}", "xyxyxy"),
        ({"{name}": 1, "gone": {"$omit": True}}, {"x": 1}),
        ({"kept": {"$any": True}}, {"kept": {"$any": True}}),
    ],
)
def test_fill_replaces_placeholders(template: Any, filled: Any) -> None:
    assert fill(template, {"name": "x", "value": [5], "outer": "{name}/{name}"}) == filled


def test_build_body_fills_to_total_size() -> None:
    body = build_body(None, None, ["<", {"fill": "x", "total": 10}, {"hex": "ff"}, {"repeat": "ж", "times": 2}], {})

    assert body == b"<xxxx\xff" + "жж".encode()


def test_load_cases_repeated_name_raises(tmp_path: Path) -> None:
    case = "  - {name: same, request: {method: GET, path: /}, expect: {status: 200}}\n"
    (tmp_path / "kazoo").mkdir()
    (tmp_path / "kazoo" / "twice.yaml").write_text("cases:\n" + case * 2, encoding="utf-8")

    with pytest.raises(ValueError, match="same"):
        load_cases(tmp_path)


def test_load_cases_reads_every_file() -> None:
    files = {path.relative_to(ROOT).with_suffix("") for path in ROOT.glob("*/*.yaml") if path.stem != "common"}

    assert {Path(case.id.partition(":")[0]) for case in load_cases()} == files
