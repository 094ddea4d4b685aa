"""The fuzz targets: every seed passes, and wrong answers are found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fuzz.seeds import list_seeds
from fuzz.targets import FILLED, HEAD, METHODS, OPEN, TARGETS, FindingError, build_input, check_family

# One in so many: the contract's own tests play all of them.
STRIDE = 11


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_fuzz_seeds_pass(target: str) -> None:
    seeds = list(list_seeds(target))
    assert len(seeds) > 100
    for seed in seeds[::STRIDE]:
        TARGETS[target](seed)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("data", [b"", b"\0", b"\xff" * 8, b"\x01\x00\x10\x03/\n\n{}", b"<" * 5000, b"[" * 5000])
def test_fuzz_target_accepts_any_bytes(target: str, data: bytes) -> None:
    TARGETS[target](data)


def test_fuzz_inputs_reach_their_states() -> None:
    for method in METHODS:
        assert len(build_input(method, "application/json", b"body")) == HEAD + 4
    found = check_family("kazoo", build_input("GET", None, b"", OPEN | FILLED))
    assert found["statusCode"] == 200
    assert check_family("kazoo", build_input("GET", None, b"", OPEN))["statusCode"] == 404
    assert check_family("kazoo", build_input("GET", None, b"", FILLED))["statusCode"] == 401


@pytest.mark.parametrize(
    ("family", "answer"),
    [
        ("places", {"statusCode": 500, "headers": {}, "body": "{}"}),
        ("places", {"statusCode": 400, "headers": {}, "body": '{"error":"x"}'}),
        ("places", {"statusCode": 200, "headers": {}, "body": '{"error":"x","message":"y"}'}),
        ("kazoo", {"statusCode": 400, "headers": {}, "body": '{"status":"error"}'}),
        ("kazoo", {"statusCode": 412, "headers": {}, "body": "{}"}),
        ("engagement", {"statusCode": 400, "headers": {"content-type": "application/json"}, "body": '{"x":{}}'}),
    ],
)
def test_fuzz_wrong_answer_is_finding(family: str, answer: dict[str, Any]) -> None:
    def create_handler(*_: Any, emit: Callable[[str], None], **__: Any) -> Callable[..., dict[str, Any]]:
        def handle(*_: Any) -> dict[str, Any]:
            emit(f'{{"status":{answer["statusCode"]}}}')
            return answer

        return handle

    with pytest.raises(FindingError):
        check_family(family, b"", create_handler)
