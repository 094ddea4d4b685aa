"""The tables behind a case: filling the directory, looking at what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from pushreg import schema
from pushreg_local.template import Template
from tests.support.contract.cases import Given, StoredItem
from tests.support.contract.filling import fill
from tests.support.contract.matching import MISSING, Bindings, differences

CREATED_AT = "2024-01-01T00:00:00Z"
KEYS = {
    "devices": schema.TABLE_KEYS[schema.DEVICES],
    "subscribers": schema.TABLE_KEYS[schema.SUBSCRIBERS],
    "places": schema.TABLE_KEYS[schema.PLACES],
}

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


@dataclass(frozen=True)
class Tables:
    """The four tables of a stack; `names` holds their names by family (devices, subscribers, places, directory)."""

    client: Any
    names: Mapping[str, str]

    @classmethod
    def of_template(cls, client: Any, template: Template) -> Tables:
        """Return the tables under the names that the template gives them locally."""
        return cls(client, {name: template.name_table(f"{name.capitalize()}Table") for name in (*KEYS, "directory")})

    def install(self, given: Given) -> None:
        """Add to the directory what the case starts from."""
        for account in given.accounts:
            self._add(schema.entry_key("account", account))
        for place in given.places:
            self._add(schema.entry_key("place", place))
        for application in given.applications:
            token = application.get("auth_token")
            members = {"auth_token_digest": schema.digest(token)} if token else {}
            self._add(schema.entry_key("application", application["id"]), **members)
        for key in given.keys:
            digest = schema.digest(key["value"])
            reach: dict[str, Any] = {name: set(key[name]) for name in ("places", "applications") if name in key}
            if "account" in key:
                reach = {"account_id": key["account"]}
            rights = {"family": key["family"], "scope": key["scope"], **reach}
            self._add(schema.entry_key("credential", digest), key_id=schema.key_id_of(digest), **rights)

    def snapshot(self, table: str) -> list[dict[str, Any]]:
        """Return all rows of a family's table, in one order."""
        return sorted(self._scan(table), key=repr)

    def clear(self, table: str) -> None:
        """Delete all rows of a family's table."""
        for item in self._scan(table):
            key = {name: item[name] for name in KEYS[table]}
            self.client.delete_item(TableName=self.names[table], Key=key)

    def check(self, wanted: StoredItem, bindings: Bindings) -> Iterator[str]:
        """Yield a line for each way in which the row is not as wanted."""
        key = fill(wanted.key, bindings)
        found = self.client.get_item(
            TableName=self.names[wanted.table],
            Key={name: _serialize(value) for name, value in key.items()},
            ConsistentRead=True,
        ).get("Item")
        if wanted.absent or found is None:
            if wanted.absent != (found is None):
                yield f"{wanted.table} {key}: wanted {'nothing' if wanted.absent else 'a row'}"
            return
        item = {name: _deserialize(value) for name, value in found.items()}
        for name, value in fill(wanted.item, bindings).items():
            yield from differences(value, item.get(name, MISSING), bindings, f"{wanted.table} {key}.{name}")

    def _scan(self, table: str) -> list[dict[str, Any]]:
        pages = self.client.get_paginator("scan").paginate(TableName=self.names[table], ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]

    def _add(self, key: schema.Key, **members: Any) -> None:
        item = {**key, "created_at": CREATED_AT, **members}
        self.client.put_item(
            TableName=self.names["directory"], Item={name: _serialize(value) for name, value in item.items()}
        )
