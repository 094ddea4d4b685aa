"""Queries of the OpenAPI document: references followed, values checked, exchanges looked up."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tests.support.contract.recording import Exchange, decode

FILE = Path(__file__).parents[3] / "docs" / "openapi.yaml"
# Where the document keeps what a path answers to the methods that it does not list.
OTHER_METHODS = "x-other-methods"
METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}


def _check_pattern(_: object, pattern: str, value: object, __: object) -> Iterator[ValidationError]:
    # Patterns are ECMA 262's, whose $ is not content with what stands before a last line break.
    if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


SchemaValidator = extend(Draft202012Validator, {"pattern": _check_pattern})  # type: ignore[no-untyped-call]


class Document:
    """A document's text, read."""

    def __init__(self, text: str) -> None:
        self.data: dict[str, Any] = yaml.safe_load(text)
        resource = DRAFT202012.create_resource(self.data)
        self._registry: Registry[Any] = Registry().with_resource("urn:document", resource)

    def follow(self, part: dict[str, Any]) -> dict[str, Any]:
        """Return what the part refers to, or the part itself."""
        while "$ref" in part:
            found: Any = self.data
            for name in part["$ref"].removeprefix("#/").split("/"):
                found = found[name]
            part = found
        return part

    def list_examples(self, content: dict[str, Any]) -> list[Any]:
        """Return the examples of a body of one media type."""
        examples = [self.follow(each)["value"] for each in content.get("examples", {}).values()]
        return [*examples, content["example"]] if "example" in content else examples

    def check(self, schema: dict[str, Any], value: Any) -> list[str]:
        """Return a line for each way in which the value does not fit the schema."""
        absolute = json.loads(json.dumps(schema).replace('"#/', '"urn:document#/'))
        validator = SchemaValidator(absolute, registry=self._registry, format_checker=FormatChecker())
        return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(value)]

    def find_operation(self, exchange: Exchange) -> dict[str, Any] | None:
        """Return what is declared for the exchange's method."""
        operation: dict[str, Any] | None = self.data["paths"][exchange.route].get(exchange.method.lower())
        return operation

    def find_answer(self, exchange: Exchange) -> dict[str, Any] | None:
        """Return what is declared for the exchange's status, read from the body where HTTP always says 200."""
        operation = self.find_operation(exchange)
        if operation is None:
            other = self.follow(self.data["paths"][exchange.route][OTHER_METHODS])
            return other if exchange.status == 405 else None
        status = str(exchange.status)
        if exchange.settings.get("ENGAGEMENT_ALWAYS_HTTP_200") == "true":
            status = decode(exchange.answer_type, exchange.answer)["subscriptionResponse"]["statusCode"]
        return self.follow(operation["responses"][status]) if status in operation["responses"] else None

    def list_operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield path, method and declaration of each operation."""
        for route, item in self.data["paths"].items():
            for method in METHODS & item.keys():
                yield route, method.upper(), item[method]
