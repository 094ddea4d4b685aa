"""The functions where neither PyJWT nor cryptography can be imported; run by test_tokens_layer.py."""

from __future__ import annotations

import importlib
import json
import sys
from datetime import datetime
from importlib.abc import MetaPathFinder
from typing import Any

REFUSED: list[str] = []


class Blocker(MetaPathFinder):
    """Notes who asks for the libraries, and has none."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Raise as an import does that finds nothing."""
        if name.partition(".")[0] in ("jwt", "cryptography"):
            REFUSED.append(name)
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


class Database:
    """Reads what it was given."""

    def __init__(self, tables: dict[str, list[dict[str, Any]]]) -> None:
        self._tables = tables

    def get_item(self, TableName: str, Key: dict[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803 botocore's own name.
        """Answer as DynamoDB does."""
        found = self._find(TableName, Key)
        return {} if found is None else {"Item": found}

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803 botocore's own name.
        """Answer as DynamoDB does."""
        found = {table: [self._find(table, key) for key in asked["Keys"]] for table, asked in RequestItems.items()}
        return {"Responses": {table: [each for each in items if each is not None] for table, items in found.items()}}

    def _find(self, table: str, key: dict[str, Any]) -> dict[str, Any] | None:
        return next((each for each in self._tables[table] if key.items() <= each.items()), None)


def main() -> None:
    """Print the answer to each event given, with the imports that it tried."""
    given = json.load(sys.stdin)
    sys.meta_path.insert(0, Blocker())
    database: Any = Database(given["tables"])
    moment = datetime.fromisoformat(given["moment"])
    options: Any = {"clock": lambda: moment, "emit": lambda _: None}
    handlers = {
        name: importlib.import_module(module).create_handler(environ, database, **options)
        for name, module, environ in given["functions"]
    }
    for function, event in given["events"]:
        before = len(REFUSED)
        answer = handlers[function](event, None)
        print(json.dumps([answer["statusCode"], answer["body"], REFUSED[before:]]))  # noqa: T201 The test reads it.
    print(json.dumps(REFUSED))  # noqa: T201 The test reads it.


main()
