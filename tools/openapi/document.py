"""Putting the document together: what the template routes, as its functions' families describe themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import Any

from pushreg_local.errors import TemplateError
from pushreg_local.template import Route, Template
from tools.openapi import engagement, kazoo, places
from tools.openapi.description import Answer, Family, Operation
from tools.openapi.exchanges import Example, Examples, Exchange, show

# By the package of a function's handler.
FAMILIES: Mapping[str, Family] = {"kazoo": kazoo.FAMILY, "engagement": engagement.FAMILY, "places": places.FAMILY}
TITLE = "Pushreg"
TEXT = """\
A push-subscription registry that speaks the dialects of four existing servers: Kazoo, Volt MX Foundry and Kony
(Quantum Fabric) Engagement, and UOS's Device Token Service.

All texts are UTF-8, bodies at most 64 KiB. JSON is read strictly: no member twice, no NUL character, no half of a
surrogate pair, no number beyond double precision, at most 64 levels. XML has no DTD, no attributes and no namespaces.
A known path answers other methods with 405 and `Allow`; for paths that are not here API Gateway itself answers 404,
and 429 once the stack's throttle is reached.
"""
# Where the document keeps what a path answers to the methods that it does not list.
OTHER_METHODS = "x-other-methods"


def build(template: Template, exchanges: Iterable[Exchange]) -> dict[str, Any]:
    """Return the document; TemplateError for a function that no family describes."""
    recorded = list(exchanges)
    components: dict[str, dict[str, Any]] = {
        name: {} for name in ("schemas", "requestBodies", "responses", "headers", "securitySchemes")
    }
    paths: dict[str, Any] = {}
    tags = []
    for function in template.functions:
        package = function.module.partition(".")[0]
        if package not in FAMILIES:
            raise TemplateError(f"nobody describes {function.name} ({package}) for the OpenAPI document")
        family = FAMILIES[package]
        routes = [route for route in template.routes if route.function == function.name]
        of_family = [each for each in recorded if each.route in {route.path for route in routes}]
        part = _Part(family, routes, Examples(of_family, family.name, family.preferred))
        tags.append({"name": family.title, "description": family.text})
        paths.update(part.build_paths())
        for name, entries in part.components.items():
            components[name].update(entries)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": TITLE,
            "version": metadata.version("pushreg"),
            "description": TEXT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [
            {"url": "http://127.0.0.1:3000", "description": "The local stack, `make run`."},
            {
                "url": "https://{host}",
                "description": "A deployed stack.",
                "variables": {
                    "host": {"default": "push.example.com", "description": "The host in the stack's outputs."}
                },
            },
        ],
        "tags": tags,
        "paths": paths,
        "components": {name: entries for name, entries in components.items() if entries},
    }


class _Part:
    """One family's paths and components."""

    def __init__(self, family: Family, routes: list[Route], examples: Examples) -> None:
        self._family = family
        self._routes = routes
        self._examples = examples
        self.components: dict[str, dict[str, Any]] = {
            "schemas": dict(family.schemas),
            "requestBodies": {},
            "responses": {},
            "headers": {name: {"required": True, **each} for name, each in family.response_headers.items()},
            "securitySchemes": dict(family.security_schemes),
        }

    def build_paths(self) -> dict[str, Any]:
        """Return the path items, and put what they share into the components."""
        methods = {method: self._build_operation(method, each) for method, each in self._family.operations.items()}
        refusal = self._share("responses", "MethodNotAllowed", self._build_answer("", 405, self._family.refusal))
        paths = {}
        for route in self._routes:
            parameters = [self._build_parameter(name) for name in re.findall(r"{(\w+)}", route.path)]
            suffix = "".join(segment.capitalize() for segment in route.path.split("/")[:-1])
            suffix = suffix if len(self._routes) > 1 else ""
            paths[route.path] = {OTHER_METHODS: refusal}
            for method, operation in methods.items():
                own = {"operationId": operation["operationId"] + suffix}
                if parameters:
                    own["parameters"] = [*parameters, *operation.get("parameters", [])]
                paths[route.path][method.lower()] = {**operation, **own}
        return paths

    def _build_operation(self, method: str, operation: Operation) -> dict[str, Any]:
        built: dict[str, Any] = {
            "tags": [self._family.title],
            "summary": operation.summary,
            "description": operation.text,
            "operationId": operation.name,
            "security": [{} if name is None else {name: []} for name in self._family.security],
        }
        if operation.headers:
            built["parameters"] = [
                {"name": name, "in": "header", "schema": {"type": "string"}, **self._family.request_headers[name]}
                for name in operation.headers
            ]
        if operation.request:
            content = {media_type: self._build_request(method, media_type) for media_type in operation.request}
            body = {"required": True, "content": content}
            built["requestBody"] = self._reuse("requestBodies", operation.name, body)
        built["responses"] = {
            str(status): self._reuse(
                "responses", f"{operation.name}{status}", self._build_answer(method, status, answer)
            )
            for status, answer in sorted(operation.answers.items())
        }
        return built

    def _build_request(self, method: str, media_type: str) -> dict[str, Any]:
        examples = [each for each in self._examples.find_successes(method) if each.exchange.request_type == media_type]
        shown = [(each.title, show(media_type, each.exchange.request or b"")) for each in examples]
        return {"schema": self._family.operations[method].request[media_type], **_list_examples(shown)}

    def _build_answer(self, method: str, status: int, answer: Answer) -> dict[str, Any]:
        built: dict[str, Any] = {"description": answer.text}
        if answer.headers:
            built["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in answer.headers}
        if answer.content:
            built["content"] = {}
            for media_type, schema in answer.content.items():
                shown = [
                    (each.title, show(media_type, each.exchange.answer))
                    for each in self._examples.find(method, status, media_type)
                ]
                built["content"][media_type] = {"schema": schema, **_list_examples(shown)}
        if answer.links:
            built["links"] = {name: self._build_link(method, name) for name in answer.links}
        return built

    def _build_link(self, method: str, name: str) -> dict[str, Any]:
        (target,) = (each for each in self._family.operations.values() if each.name == name)
        link: dict[str, Any] = {
            "operationId": name,
            "parameters": {each: f"$request.path.{each}" for each in self._family.path_parameters},
        }
        if target.request and target.request == self._family.operations[method].request:
            link["requestBody"] = "$request.body"
        return link

    def _build_parameter(self, name: str) -> dict[str, Any]:
        first: list[Example] = []
        for method in self._family.operations:
            first = first or self._examples.find_successes(method)
        example = {"example": first[0].exchange.parameters[name]} if first else {}
        return {"name": name, "in": "path", "required": True, **self._family.path_parameters[name], **example}

    def _reuse(self, kind: str, name: str, built: dict[str, Any]) -> dict[str, Any]:
        """Return what is built or, where several routes need it, a reference to it."""
        return built if len(self._routes) == 1 else self._share(kind, name, built)

    def _share(self, kind: str, name: str, built: dict[str, Any]) -> dict[str, Any]:
        full_name = f"{self._family.title}{name[0].upper()}{name[1:]}"
        self.components[kind][full_name] = built
        return {"$ref": f"#/components/{kind}/{full_name}"}


def _list_examples(shown: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(shown) < 2:
        return {"example": shown[0][1]} if shown else {}
    examples: dict[str, Any] = {}
    for title, value in shown:
        examples.setdefault(_to_key(title), {"summary": title, "value": value})
    return {"examples": examples}


def _to_key(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
