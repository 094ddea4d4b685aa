"""Audit entries: who changed what in the Directory table, and when; written in the transaction of the change."""

from __future__ import annotations

import getpass
import os
import uuid
from collections.abc import Mapping
from typing import Any, Literal

from pushreg.clock import Clock, now, to_iso
from pushreg.dynamodb import put
from pushreg.schema import AUDIT_PREFIX, Item, key_id_of, parse_record
from pushreg_ops.records.scanning import scan
from pushreg_ops.registry import Registry

# The detail of entries that an import adds.
IMPORTED = "by import"
Action = Literal["add", "change", "remove"]


class Auditor:
    """Describes the changes of one registry; the caller is identified once, at the first change."""

    def __init__(self, registry: Registry, clock: Clock = now) -> None:
        self._registry = registry
        self._clock = clock
        self._who: str | None = None

    @property
    def who(self) -> str:
        """The caller: the ARN of the IAM identity for a deployed stack, else `local`."""
        if self._who is None:
            self._who = self._registry.identify()
        return self._who

    def record(
        self, action: Action, key: Mapping[str, str], detail: str | None = None, audit_id: str | None = None
    ) -> dict[str, Any]:
        """Return the write of the audit entry for a change of the directory entry; `detail` holds no secret.

        `audit_id` is given where a repeated transaction must contain the same writes; by default it is random.
        """
        moment = to_iso(self._clock())
        kind, entry_id = parse_record(key["record"])
        item: Item = {
            "record": f"{AUDIT_PREFIX}{moment}#{(audit_id or uuid.uuid4().hex)[:12]}",
            "created_at": moment,
            "who": self.who,
            "machine_user": _name_user(),
            "action": action,
            "kind": "key" if kind == "credential" else kind,
            "entry": key_id_of(entry_id) if kind == "credential" else entry_id,
            "detail": detail,
        }
        return put(self._registry.directory, item, "attribute_not_exists(created_at)")


def read_audit(registry: Registry, entry: str | None = None) -> list[dict[str, Any]]:
    """Return the audit entries as plain data, oldest first; those of one entry if its id is given."""
    names = ("created_at", "who", "machine_user", "action", "kind", "entry", "detail")
    condition = "begins_with(#record, :prefix)"
    pages = scan(registry.client, registry.directory, condition=condition, prefix=AUDIT_PREFIX)
    items = sorted((item for page in pages for item in page), key=lambda item: str(item["record"]))
    records = [{name: item.get(name) for name in names} for item in items]
    return [each for each in records if entry is None or each["entry"] == entry]


def _name_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # Neither the environment nor the system has a name for the user.
        return f"uid {os.getuid()}"
