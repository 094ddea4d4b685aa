import pytest

from pushreg_local.routing import Router
from pushreg_local.template import Route

ROUTER = Router(
    [
        Route("ANY", "$default", "default"),
        Route("ANY", "/{proxy+}", "greedy"),
        Route("ANY", "/a/{rest+}", "greedy_below_a"),
        Route("ANY", "/a/{x}", "variable"),
        Route("ANY", "/a/b", "literal"),
        Route("PUT", "/a/b", "literal_put"),
        Route("GET", "/{x}/b/{y}", "two_variables"),
        Route("GET", "/a/b/{y}", "one_variable"),
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "function", "parameters"),
    [
        ("GET", "/a/b", "literal", {}),
        ("PUT", "/a/b", "literal_put", {}),
        ("GET", "/a/c", "variable", {"x": "c"}),
        ("GET", "/a/b/c", "one_variable", {"y": "c"}),
        ("GET", "/z/b/c", "two_variables", {"x": "z", "y": "c"}),
        ("POST", "/a/b/c", "greedy_below_a", {"rest": "b/c"}),
        ("GET", "/a/", "greedy_below_a", {"rest": ""}),
        ("GET", "/z", "greedy", {"proxy": "z"}),
        ("GET", "/", "default", {}),
        ("GET", "/a/ünï c%de", "variable", {"x": "ünï c%de"}),
    ],
)
def test_router_takes_most_specific_route(method: str, path: str, function: str, parameters: dict[str, str]) -> None:
    match = ROUTER.match(method, path)
    assert match is not None
    assert (match[0].function, match[1]) == (function, parameters)


@pytest.mark.parametrize("path", ["/", "/a", "/a/", "/a//", "/a/b/c", "/A/b", "/a/b/", "a/b"])
def test_router_unknown_path_returns_none(path: str) -> None:
    assert Router([Route("ANY", "/a/{x}", "f")]).match("GET", path) is None


def test_router_unknown_method_returns_none() -> None:
    assert Router([Route("GET", "/a", "f")]).match("POST", "/a") is None
