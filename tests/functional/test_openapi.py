"""docs/openapi.yaml against the template and against every exchange of the contract cases."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from pushreg.codecs import json as strict_json
from pushreg.codecs import xml
from pushreg.errors import MalformedError
from pushreg_local.template import Template
from tests.support.contract.declaration import FILE, METHODS, Document
from tests.support.contract.recording import Exchange, decode, record
from tests.support.gateway import read_template
from tests.support.stored import Stored

pytestmark = pytest.mark.slow

# What handlers read beyond the document, for clients that were written for a sloppier server.
LENIENCIES = {
    "reads appID as appId",
    "reads appID as appId in XML",
    "reads appID as appId in an unsubscription",
    "accepts an array of one subscribe object",
    "takes an array of one subscriptionService for its element",
    "reads member names in any letter case",
    "reads an array of one with empty optional members",
}
# A body that fits its schema may still be refused, for reasons that no schema can tell.
OTHER_REASONS = (
    b"placeId must be",
    b"cursor must be",
    b"subscription already exists",
    b"Each notification preference can only appear once",
    b'"device_id":{"invalid"',
    # On the modern engagement API what is stored decides: the same text answers a malformed id and an unknown one.
    b"Invalid KSID",
    b"application ID",
    b"Invalid subscriber or subscriber not found",
    b"with inactive status",
)
# JSON Schema counts characters.
BYTE_LIMITS = {
    "refuses a sid of 4098 bytes, whatever its characters",
    "refuses a token of 4098 bytes, whatever its characters",
}


@pytest.fixture(scope="module")
def template() -> Template:
    return read_template()


@pytest.fixture(scope="module")
def exchanges(stored: Stored, template: Template) -> list[Exchange]:
    return record(stored, template.routes)


@pytest.fixture(scope="module")
def document() -> Document:
    return Document(FILE.read_text("utf-8"))


def test_openapi_paths_are_template_routes(document: Document, template: Template) -> None:
    families = {function.name: function.module.partition(".")[0] for function in template.functions}
    routed = {(route.method, route.path, families[route.function]) for route in template.routes}
    declared = {("ANY", path, operation["tags"][0].lower()) for path, _, operation in document.list_operations()}
    assert declared == routed


def test_openapi_version_is_project_version(document: Document) -> None:
    assert document.data["info"]["version"] == metadata.version("pushreg")


def test_openapi_every_component_is_used(document: Document) -> None:
    referenced = set(re.findall(r"#/components/(\w+/[\w-]+)", FILE.read_text("utf-8")))
    required = {
        name for _, _, operation in document.list_operations() for each in operation["security"] for name in each
    }
    referenced |= {f"securitySchemes/{name}" for name in required}
    assert referenced == {f"{kind}/{name}" for kind, entries in document.data["components"].items() for name in entries}


def test_openapi_document_is_valid(document: Document) -> None:
    OpenAPIV31SpecValidator(document.data).validate()
    for schema in document.data["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_openapi_every_response_is_declared_and_valid(document: Document, exchanges: list[Exchange]) -> None:
    problems = [
        f"{each.case}: {each.method} {each.route} {each.status}: {problem}"
        for each in exchanges
        for problem in _check_answer(document, each)
    ]
    assert not problems, "\n".join(problems)


def test_openapi_every_declared_status_occurs(document: Document, exchanges: list[Exchange]) -> None:
    # The three paths of the engagement family are one function.
    said = {(_tag(document, each), each.method, each.status, each.answer_type) for each in exchanges}
    declared = {
        (operation["tags"][0], method, int(status), media_type)
        for _, method, operation in document.list_operations()
        for status, answer in operation["responses"].items()
        for media_type in document.follow(answer).get("content", {"": {}})
    }
    assert declared - said == set()


def test_openapi_every_body_has_valid_examples(document: Document) -> None:
    for route, method, operation in document.list_operations():
        bodies = [document.follow(operation["requestBody"])] if "requestBody" in operation else []
        for body in [*bodies, *map(document.follow, operation["responses"].values())]:
            for media_type, content in body.get("content", {}).items():
                examples = document.list_examples(content)
                assert examples, f"{method} {route} {media_type}"
                for example in examples:
                    value = _unwrap(decode(media_type, example.encode())) if media_type == "text/xml" else example
                    assert document.check(content["schema"], value) == []


def test_openapi_response_examples_were_answered(document: Document, exchanges: list[Exchange]) -> None:
    answered = {
        (each.method, each.status, _mask(each.answer_type, each.answer.decode())) for each in exchanges if each.answer
    }
    for _, method, operation in document.list_operations():
        for status, reference in operation["responses"].items():
            # A response that several methods share has the example of one of them.
            methods = METHODS if "$ref" in reference else {method.lower()}
            for media_type, content in document.follow(reference).get("content", {}).items():
                for example in document.list_examples(content):
                    text = example if media_type == "text/xml" else json.dumps(example)
                    masked = _mask(media_type, text)
                    assert any((each.upper(), int(status), masked) in answered for each in methods), example


def test_openapi_allow_header_lists_declared_methods(document: Document, exchanges: list[Exchange]) -> None:
    refused = {each.route: each for each in exchanges if document.find_operation(each) is None}
    assert refused.keys() == document.data["paths"].keys()
    for route, exchange in refused.items():
        allowed = {method.strip() for method in exchange.answer_headers["allow"].split(",")}
        assert allowed == {method for path, method, _ in document.list_operations() if path == route}


def test_openapi_accepted_bodies_match_schema(document: Document, exchanges: list[Exchange]) -> None:
    misfits = {
        _name(each)
        for each in exchanges
        if each.status < 300 and not each.settings and _judge_request(document, each) is False
    }
    assert misfits == LENIENCIES


def test_openapi_refused_bodies_violate_schema(document: Document, exchanges: list[Exchange]) -> None:
    refused = [
        each for each in exchanges if each.status == 400 and not any(reason in each.answer for reason in OTHER_REASONS)
    ]
    fitting = {_name(each) for each in refused if _judge_request(document, each) is True}
    assert fitting == BYTE_LIMITS


def _check_answer(document: Document, exchange: Exchange) -> Iterator[str]:
    answer = document.find_answer(exchange)
    if answer is None:
        yield "the status is not declared"
        return
    for name, reference in answer.get("headers", {}).items():
        header = document.follow(reference)
        if name.lower() not in exchange.answer_headers:
            yield f"{name} is missing"
        else:
            yield from document.check(header["schema"], exchange.answer_headers[name.lower()])
    content = answer.get("content", {})
    if not content:
        if exchange.answer:
            yield "a body where none is declared"
    elif exchange.answer_type not in content:
        yield f"{exchange.answer_type} is not declared"
    else:
        data = decode(exchange.answer_type, exchange.answer)
        value = _unwrap(data) if exchange.answer_type == "text/xml" else data
        yield from document.check(content[exchange.answer_type]["schema"], value)


def _mask(media_type: str, body: str) -> str:
    """Return the body with KSIDs, digests, request ids and times replaced, which differ between runs."""
    text = body if media_type == "text/xml" else json.dumps(json.loads(body), sort_keys=True)
    return re.sub(
        r"\b[1-9][0-9]{18}\b|\b[0-9a-f]{32}\b|\d{4}-\d\d-\d\dT[\d:.]+Z|\d\d/\d\d/\d{4} [\d:]+ [AP]M", "…", text
    )


def _judge_request(document: Document, exchange: Exchange) -> bool | None:
    """Return whether the body fits its schema; None if there is no schema for it or no data in it."""
    operation = document.find_operation(exchange) or {}
    content = document.follow(operation.get("requestBody", {})).get("content", {})
    if exchange.request_type not in content or not exchange.request:
        return None
    schema = content[exchange.request_type]["schema"]
    try:
        if exchange.request_type == "text/xml":
            ((root, value),) = xml.decode(exchange.request).items()
            return root == document.follow(schema)["xml"]["name"] and not document.check(schema, value)
        return not document.check(schema, strict_json.decode(exchange.request))
    except MalformedError:
        return None


def _name(exchange: Exchange) -> str:
    return exchange.case.partition(": ")[2]


def _tag(document: Document, exchange: Exchange) -> str:
    item = document.data["paths"][exchange.route]
    return str(next(item[method]["tags"][0] for method in METHODS & item.keys()))


def _unwrap(data: Any) -> Any:
    (value,) = data.values()
    return value
