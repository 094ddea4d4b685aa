"""JSON Schema out of the models, and the shapes that answers are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from tools.openapi.description import Schema

JSON = "application/json"
XML = "text/xml"


def read_model(model: type[BaseModel], text: str, members: Mapping[str, Schema], **keywords: Any) -> dict[str, Any]:
    """Return the model's schema, described; KeyError for a member that the model lacks.

    `members` lays over a property what the model cannot tell a schema: validators written in Python, and meanings.
    A keyword of None falls out.
    """
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    properties = {
        name: _lay_over({"description": ""}, _strip(schema["properties"][name]), members[name])
        for name in schema["properties"]
    }
    if unknown := members.keys() - properties.keys():
        raise KeyError(f"{model.__name__} has no {', '.join(sorted(unknown))}")
    required = {"required": schema["required"]} if "required" in schema else {}
    return {"type": "object", "description": text, **required, "properties": properties, **keywords}


def allow_null(schema: Schema) -> dict[str, Any]:
    """Return what `anyOf` with null stands for, in the one keyword that readers and generators like better."""
    return {**schema, "type": [schema["type"], "null"]}


def list_object(**members: Schema) -> dict[str, Any]:
    """Return the schema of an object that has these members and no others."""
    return {"type": "object", "required": list(members), "properties": members, "additionalProperties": False}


def list_cases(*words: str) -> str:
    """Return a pattern for any of the words in any letter case, without anchors."""
    spelled = ("".join(f"[{c.upper()}{c.lower()}]" if c.isalpha() else c for c in word) for word in words)
    return f"({'|'.join(spelled)})"


def fix(value: Any) -> dict[str, Any]:
    """Return the schema of this one value."""
    return {"const": value}


def _lay_over(*layers: Schema) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for layer in layers:
        merged.update(layer)
    return {name: value for name, value in merged.items() if value is not None}


def _strip(schema: Schema) -> dict[str, Any]:
    # Pydantic's titles are the names again, and its defaults of null only say "optional".
    return {name: value for name, value in schema.items() if name not in ("title", "default")}
