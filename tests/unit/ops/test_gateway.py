import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest
from starlette.responses import Response
from starlette.routing import Route as PageRoute

from pushreg_local.errors import TemplateError
from pushreg_local.gateway import MAX_BODY, Gateway, create_app, load_handlers
from pushreg_local.template import Cors, Function, Route, Template

FUNCTION = Function("Worker", "no_such_module.app", {}, timeout=7, memory=256)
TEMPLATE = Template((FUNCTION,), (Route("ANY", "/things/{id}", "Worker"),), ())

Answer = Callable[[dict[str, Any], Any], object]


class FakeHandler:
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __call__(self, event: dict[str, Any], context: Any) -> object:
        return self._answer(event, context)

    def prepare(self) -> None: ...


def send_all(
    answer: Answer, count: int, method: str, path: str, cors: Cors | None = None, **arguments: Any
) -> list[httpx.Response]:
    """Send the request that many times at once and return the answers."""

    async def send() -> list[httpx.Response]:
        app = create_app(Gateway(TEMPLATE, {"Worker": FakeHandler(answer)}, 3000), cors)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            return await asyncio.gather(*(client.request(method, path, **arguments) for _ in range(count)))

    return asyncio.run(send())


def send(answer: Answer, method: str, path: str, **arguments: Any) -> httpx.Response:
    return send_all(answer, 1, method, path, **arguments)[0]


def echo(event: dict[str, Any], context: Any) -> Mapping[str, Any]:
    body = {
        "path": event["rawPath"],
        "parameters": event["pathParameters"],
        "headers": event["headers"],
        "body": event.get("body"),
        "function": context.function_name,
        "memory": context.memory_limit_in_mb,
        "arn": context.invoked_function_arn,
        "left": context.get_remaining_time_in_millis(),
    }
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}


def test_gateway_request_reaches_function_and_returns_its_response() -> None:
    response = send(echo, "PUT", "/things/a%20%C3%A4%2523?q=1", headers=[("X-A", "1"), ("x-a", "2")], json={"b": "ü"})
    seen = response.json()
    assert response.headers["content-type"] == "application/json"
    assert seen["path"] == "/things/a ä%23"
    assert seen["parameters"] == {"id": "a ä%23"}
    assert seen["headers"]["x-a"] == "1,2"
    assert json.loads(seen["body"]) == {"b": "ü"}


def test_gateway_context_describes_function() -> None:
    seen = send(echo, "GET", "/things/a").json()
    assert (seen["function"], seen["memory"]) == ("Worker", 256)
    assert seen["arn"] == "arn:aws:lambda:us-east-1:123456789012:function:Worker"
    assert 0 < seen["left"] <= 7000


def test_gateway_cookies_become_set_cookie_headers() -> None:
    response = send(lambda event, context: {"statusCode": 204, "cookies": ["a=1", "b=2"]}, "GET", "/things/a")
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert response.content == b""


@pytest.mark.parametrize("path", ["/", "/things", "/things/a/b", "/things/a%2Fb", "/docs"])
def test_gateway_path_without_route_returns_404(path: str) -> None:
    response = send(echo, "GET", path)
    assert (response.status_code, response.content) == (404, b'{"message":"Not Found"}')
    assert response.headers["content-type"] == "application/json"


def test_gateway_body_over_limit_returns_413() -> None:
    reached: list[int] = []

    def note(event: dict[str, Any], context: Any) -> dict[str, Any]:
        reached.append(len(event["body"]))
        return {"statusCode": 204}

    headers = {"content-type": "text/plain"}
    assert send(note, "POST", "/things/a", content=b"x" * MAX_BODY, headers=headers).status_code == 204
    response = send(note, "POST", "/things/a", content=b"x" * (MAX_BODY + 1), headers=headers)
    assert (response.status_code, response.content) == (413, b'{"message":"Request Entity Too Large"}')
    assert reached == [MAX_BODY]


def test_gateway_handler_exception_returns_bare_500(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(event: dict[str, Any], context: Any) -> object:
        raise RuntimeError("inner matters")

    response = send(fail, "GET", "/things/a")
    assert (response.status_code, response.content) == (500, b'{"message":"Internal Server Error"}')
    assert "inner matters" in capsys.readouterr().err


def test_gateway_invalid_handler_response_returns_500(capsys: pytest.CaptureFixture[str]) -> None:
    response = send(lambda event, context: {"body": "x"}, "GET", "/things/a")
    assert (response.status_code, response.content) == (500, b'{"message":"Internal Server Error"}')
    assert "no statusCode" in capsys.readouterr().out


def test_gateway_cors_preflight_of_allowed_origin_returns_200() -> None:
    cors = Cors(("https://a.example",), ("PUT",), ("x-auth-token",), ("etag",), 60)
    wishes = {"access-control-request-method": "PUT", "access-control-request-headers": "x-auth-token"}
    preflight = send(echo, "OPTIONS", "/things/a", cors=cors, headers={"origin": "https://a.example", **wishes})
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "https://a.example"
    assert preflight.headers["access-control-max-age"] == "60"
    response = send(echo, "PUT", "/things/a", cors=cors, headers={"origin": "https://a.example"})
    assert response.json()["path"] == "/things/a"
    assert response.headers["access-control-allow-origin"] == "https://a.example"
    assert response.headers["access-control-expose-headers"] == "etag"
    other = send(echo, "OPTIONS", "/things/a", cors=cors, headers={"origin": "https://b.example", **wishes})
    assert "access-control-allow-origin" not in other.headers


def test_gateway_cors_covers_functions_alone() -> None:
    """No page of another site may read the console and the documentation page."""
    cors = Cors(("*",), ("GET",), (), (), 60)
    page = PageRoute("/console", lambda request: Response("page"))
    app = create_app(Gateway(TEMPLATE, {"Worker": FakeHandler(echo)}, 3000), cors, [page])

    async def fetch(path: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            return await client.get(path, headers={"origin": "https://a.example"})

    assert asyncio.run(fetch("/things/a")).headers["access-control-allow-origin"] == "*"
    response = asyncio.run(fetch("/console"))
    assert (response.text, "access-control-allow-origin" in response.headers) == ("page", False)


def test_gateway_handlers_run_concurrently() -> None:
    meeting = threading.Barrier(2, timeout=30)

    def meet(event: dict[str, Any], context: Any) -> dict[str, Any]:
        meeting.wait()
        return {"statusCode": 204}

    assert [response.status_code for response in send_all(meet, 2, "GET", "/things/a")] == [204, 204]


def test_load_handlers_missing_module_names_function() -> None:
    with pytest.raises(TemplateError, match="Worker cannot be loaded"):
        load_handlers(TEMPLATE)
