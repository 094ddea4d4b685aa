"""What a family says of itself, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """One status: when it is given, what its body is in each media type, and the headers that always come with it.

    `links` are the operations that can follow on the same path, by name.
    """

    text: str
    content: Mapping[str, Schema] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of a family's routes; `headers` are the request headers that it heeds."""

    name: str
    summary: str
    text: str
    answers: Mapping[int, Answer]
    request: Mapping[str, Schema] = field(default_factory=dict)
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Family:
    """One function's dialect; `refusal` answers every method that `operations` lacks.

    `name` says in a few words what an answer tells; `preferred` are the files of cases to take examples from.
    `security` lists alternatives by the name of their scheme, None for no credential at all.
    """

    title: str
    text: str
    name: Callable[[Any], str]
    preferred: tuple[str, ...]
    operations: Mapping[str, Operation]
    refusal: Answer
    schemas: Mapping[str, Schema]
    security: tuple[str | None, ...]
    security_schemes: Mapping[str, Schema]
    path_parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    request_headers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    response_headers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def refer(name: str) -> dict[str, str]:
    """Return a reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


ALLOW: Mapping[str, Mapping[str, Any]] = {
    "Allow": {"description": "The methods that the path knows.", "schema": {"type": "string"}}
}
