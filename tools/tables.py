"""Writes what CloudFormation needs to import tables into a new stack: tables.yaml and imports.json.

Run as `python -m tools.tables DevicesTable=NAME SubscribersTable=NAME PlacesTable=NAME DirectoryTable=NAME`. The
template describes the tables as a restore leaves them, with keys and encryption alone. So the deployment of
template.yaml that follows finds expiry, recovery and deletion protection to be added, and adds them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pushreg_local.errors import TemplateError
from pushreg_local.intrinsics import parse
from pushreg_local.template import find_template

RESTORED = ("BillingMode", "SSESpecification", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")


def build_import(document: Mapping[str, Any], names: Mapping[str, str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the template of the tables and the list of resources to import; TemplateError unless each has a name."""
    tables = {name: each for name, each in document["Resources"].items() if each["Type"] == "AWS::DynamoDB::Table"}
    if set(tables) != set(names) or not all(names.values()):
        raise TemplateError(f"name each of the tables once: {' '.join(f'{name}=NAME' for name in tables)}")
    resources = {name: {**each, "Properties": _restore(each["Properties"])} for name, each in tables.items()}
    imports = [
        {
            "ResourceType": "AWS::DynamoDB::Table",
            "LogicalResourceId": logical_id,
            "ResourceIdentifier": {"TableName": name},
        }
        for logical_id, name in names.items()
    ]
    return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}, imports


def _restore(properties: Mapping[str, Any]) -> dict[str, Any]:
    restored = {key: properties[key] for key in RESTORED if key in properties}
    if "GlobalSecondaryIndexes" in restored:
        restored["GlobalSecondaryIndexes"] = [
            {key: value for key, value in index.items() if key != "OnDemandThroughput"}
            for index in restored["GlobalSecondaryIndexes"]
        ]
    return restored


def main() -> int:
    """Write the two files into the current folder; 1 if the tables are not named."""
    names = dict(argument.split("=", 1) for argument in sys.argv[1:] if "=" in argument)
    try:
        template, imports = build_import(parse(find_template(Path.cwd()).read_text("utf-8")), names)
    except TemplateError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    Path("tables.yaml").write_text(yaml.safe_dump(template, sort_keys=False), "utf-8")
    Path("imports.json").write_text(json.dumps(imports, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
