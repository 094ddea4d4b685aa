import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from pushreg_local.docs_page.routes import answer_browser, create_routes
from pushreg_local.gateway import Gateway, create_app
from pushreg_local.template import Function, Route, Template

DOCUMENT = Path(__file__).parents[3] / "docs" / "openapi.yaml"
COMMANDS = [("kazoo", "curl 'one'")]
CREDENTIALS = {"kazooToken": "a-token"}
WORKER = (Function("Worker", "worker.app", {}, timeout=7, memory=256),)
ROUTED = Template(WORKER, (Route("ANY", "/{id}", "Worker"), Route("ANY", "$default", "Worker")), ())
WITHOUT_DEFAULT = Template(WORKER, (Route("ANY", "/{id}", "Worker"),), ())


class FakeHandler:
    def __call__(self, event: dict[str, Any], context: Any) -> object:
        if event["routeKey"] == "$default":
            return {"statusCode": 404, "body": '{"message":"Not Found"}'}
        return {"statusCode": 200, "body": event["rawPath"]}

    def prepare(self) -> None: ...


def fetch(
    path: str,
    credentials: Mapping[str, str] = CREDENTIALS,
    accept: str = "*/*",
    method: str = "GET",
    template: Template = ROUTED,
) -> httpx.Response:
    async def send() -> httpx.Response:
        gateway = Gateway(template, {"Worker": FakeHandler()}, 3000, answer_browser=answer_browser)
        app = create_app(gateway, routes=create_routes(DOCUMENT, COMMANDS, credentials))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            return await client.request(method, path, headers={"Accept": accept})

    return asyncio.run(send())


def test_docs_page_and_linked_assets_are_served() -> None:
    page = fetch("/docs")
    assert page.headers["content-type"].startswith("text/html")
    named = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert len(named) >= 5
    for path in named:
        answer = fetch(path)
        assert answer.status_code == 200, path
        assert answer.content


def test_docs_page_content_security_policy_allows_only_self() -> None:
    for path in ("/docs", "/docs/page.js", "/docs/swagger-ui-bundle.js", "/openapi.json"):
        policy = dict(part.strip().split(" ", 1) for part in fetch(path).headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        for directive in ("script-src", "style-src", "connect-src"):
            assert policy[directive] == "'self'"
        assert not any("http" in sources or "*" in sources or "unsafe" in sources for sources in policy.values())


def test_docs_settings_contain_commands_and_credentials() -> None:
    assert fetch("/docs/settings.json").json() == {
        "document": "/openapi.json",
        "commands": [["kazoo", "curl 'one'"]],
        "credentials": CREDENTIALS,
    }


def test_openapi_json_is_committed_document_without_servers() -> None:
    committed = yaml.safe_load(DOCUMENT.read_text("utf-8"))
    del committed["servers"]
    assert fetch("/openapi.json").json() == committed


@pytest.mark.parametrize("path", ["/docs/other", "/docs/page.html", "/docs/..%2fgateway.py", "/openapi.yaml/x"])
def test_docs_unknown_path_returns_404(path: str) -> None:
    assert fetch(path).status_code == 404


@pytest.mark.parametrize("path", ["/thing", "/docs.json", "/a%0Ab"])
def test_docs_other_path_reaches_gateway(path: str) -> None:
    assert fetch(path).status_code == 200


BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"


def test_root_leads_browser_to_docs_page() -> None:
    answer = fetch("/", accept=BROWSER)
    assert (answer.status_code, answer.headers["location"]) == (303, "/docs")


@pytest.mark.parametrize("template", [ROUTED, WITHOUT_DEFAULT], ids=["with default route", "without"])
def test_unknown_path_returns_page_to_browser(template: Template) -> None:
    answer = fetch("/no/such", accept=BROWSER, template=template)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for path in re.findall(r'(?:href|src)="([^"]+)"', answer.text):
        assert fetch(path).status_code == 200, path


@pytest.mark.parametrize(("accept", "method"), [("*/*", "GET"), ("application/json", "GET"), (BROWSER, "POST")])
@pytest.mark.parametrize("path", ["/", "/no/such"])
@pytest.mark.parametrize("template", [ROUTED, WITHOUT_DEFAULT], ids=["with default route", "without"])
def test_unknown_path_returns_json_to_other_clients(template: Template, path: str, accept: str, method: str) -> None:
    answer = fetch(path, accept=accept, method=method, template=template)
    assert (answer.status_code, answer.json()) == (404, {"message": "Not Found"})
