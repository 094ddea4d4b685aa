"""Kazoo's device documents, as returned by CouchDB's `_all_docs?include_docs=true`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from pushreg.clock import to_iso
from pushreg.codecs import json
from pushreg.errors import MalformedError
from pushreg.http import MAX_BODY
from pushreg.models.kazoo import Content, InvalidError
from pushreg.schema import DEVICES, device_key, is_account_id, is_path_id
from pushreg_ops.migrate.formats.candidates import Candidate
from pushreg_ops.migrate.formats.rows import ImportRun, RowError, explain
from pushreg_ops.records.items import StoredDevice

# The device document's member that holds the subscription (crossbar's cb_push_notification_subscriptions).
MEMBER = "push_notification_subscriptions"
# Kazoo counts seconds from the year 0.
GREGORIAN_EPOCH = 62_167_219_200
_REVISION = re.compile(r"([1-9][0-9]{0,14})-")


class KazooConverter:
    """Turns device documents into subscriptions; `account_id` is the account of documents that name none."""

    def __init__(self, run: ImportRun, account_id: str | None = None) -> None:
        self._run = run
        self._account_id = account_id

    def __call__(self, row: Any) -> Candidate | None:
        """Return the document's subscription; None if it is not a device with a subscription."""
        if not isinstance(row, dict) or row.keys().isdisjoint({"_id", "id", "key", "doc"}):
            raise RowError("not a CouchDB document")
        document = row.get("doc", row)
        if not isinstance(document, dict):
            return None
        data = document.get(MEMBER)
        if document.get("pvt_type") != "device" or data is None or document.get("pvt_deleted"):
            return None
        if not isinstance(data, dict):
            raise RowError(f"{MEMBER} is not an object")
        return self._convert(document, data)

    def _convert(self, document: dict[str, Any], data: dict[str, Any]) -> Candidate:
        account_id = document.get("pvt_account_id") or self._account_id
        device_id = document.get("_id")
        if not isinstance(account_id, str) or not is_account_id(account_id):
            raise RowError("no pvt_account_id of 32 characters: name the account with --account")
        content = read_content(data, data.get("app_name"))
        created_at, modified_at = (self._read_moment(document.get(name)) for name in ("pvt_created", "pvt_modified"))
        updated_at = modified_at or created_at
        moment = updated_at or self._run.moment
        revision = _REVISION.match(str(document.get("_rev", "")))
        entity = create_device(
            account_id,
            device_id,
            content,
            writes=int(revision[1]) if revision else 1,
            created_at=min(created_at or moment, moment),
            updated_at=moment,
            refreshed_at=moment,
            expires_at=self._run.find_expiry(DEVICES, updated_at),
        )
        return Candidate.from_entity(entity, ("account", account_id), is_timed=updated_at is not None)

    def _read_moment(self, seconds: Any) -> str | None:
        if not isinstance(seconds, int) or isinstance(seconds, bool):
            return None
        try:
            return self._run.bound(to_iso(datetime.fromtimestamp(seconds - GREGORIAN_EPOCH, UTC)))
        except (OverflowError, OSError, ValueError):
            return None


def read_content(data: dict[str, Any], app_name: Any) -> Content:
    """Return the subscription; RowError if the API would refuse it."""
    if not isinstance(app_name, str):
        raise RowError("app_name: missing, or not a string")
    try:
        encoded = json.encode(_plain(data))
        if len(encoded) > MAX_BODY:
            raise RowError("the subscription is larger than 64 KiB")
        # Decode it like a request body, with the same checks.
        content = Content.from_data(json.decode(encoded), app_name)
    except MalformedError as error:
        raise RowError(error.reason) from error
    except (ValueError, RecursionError) as error:
        raise RowError("invalid Unicode, a number out of range, or nested too deeply") from error
    except InvalidError as error:
        raise _to_row_error(error) from error
    if not is_path_id(content.app_name):
        raise RowError("app_name: not a valid path segment")
    return content


def create_device(
    account_id: str,
    device_id: Any,
    content: Content,
    *,
    writes: int,
    created_at: str,
    updated_at: str,
    refreshed_at: str,
    expires_at: int | None,
) -> StoredDevice:
    """Return the device's subscription; RowError if the API could not address it."""
    if not isinstance(device_id, str) or not is_path_id(device_id):
        raise RowError("the device id is not a valid path segment")
    try:
        content.check_identifiers(device_id)
    except InvalidError as error:
        raise _to_row_error(error) from error
    try:
        return StoredDevice(
            account_id=account_id,
            record=device_key(account_id, device_id)["record"],
            device_id=device_id,
            app_name=content.app_name,
            mobile_device_id=content.mobile_device_id,
            document=json.encode(content.document).decode(),
            digest=content.digest,
            writes=writes,
            created_at=created_at,
            updated_at=updated_at,
            refreshed_at=refreshed_at,
            expires_at=expires_at,
        )
    except ValidationError as error:
        raise explain(error) from error


def _to_row_error(error: InvalidError) -> RowError:
    # The path's other parts may be push tokens.
    faults = {f"{path.partition('.')[0]}: {next(iter(problem))}" for path, problem in error.problems.items()}
    return RowError(f"{error.message}: {'; '.join(sorted(faults))}")


def _plain(value: Any) -> Any:
    """Return the value with decimals as floats, for the JSON encoder."""
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return float(value) if isinstance(value, Decimal) else value
