"""Turns records of the tables' streams into events on the stack's bus (docs/sending.md#change-feed)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import boto3
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord

from pushreg.codecs import json
from pushreg.config import FeedSettings
from pushreg.errors import PushregError
from pushreg.stores.changes import read_change

SOURCE = "pushreg"


class PublishError(PushregError):
    """EventBridge did not take the event; `code` is its reason."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Feed:
    """The handler; its client is made on first use.

    A record that fails is named in the answer and comes again; why it failed is logged.
    """

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        connect: Callable[[str], Any] | None = None,
        emit: Callable[[str], None] = print,
    ) -> None:
        self._environ = environ
        self._settings: FeedSettings | None = None
        self._connect: Any = connect or boto3.client
        self._emit = emit
        self._client: Any = None

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Publish the changes of an event's records; return those to try again."""
        processor = BatchProcessor(event_type=EventType.DynamoDBStreams, raise_on_entire_batch_failure=False)
        answer = process_partial_response(event, self._process, processor, context)
        return cast("dict[str, Any]", answer)

    def _process(self, record: DynamoDBRecord) -> None:
        raw = record.raw_event
        try:
            self._publish(raw)
        except Exception as error:
            # Not the message: it may quote the record.
            line = {
                "service": "feed",
                "level": "ERROR",
                "error": type(error).__name__,
                "code": _find_code(error),
                "stream": raw.get("eventSourceARN"),
                "sequence": raw.get("dynamodb", {}).get("SequenceNumber"),
            }
            self._emit(json.encode(line).decode())
            raise

    def _publish(self, raw: dict[str, Any]) -> None:
        if self._settings is None:
            self._settings = FeedSettings.from_environ(self._environ)
        # arn:aws:dynamodb:REGION:ACCOUNT:table/NAME/stream/LABEL
        change = read_change(self._settings.tables[raw["eventSourceARN"].split("/")[1]], raw)
        if change is None:
            return
        if self._client is None:
            self._client = self._connect("events")
        entry = {
            "EventBusName": self._settings.event_bus,
            "Source": SOURCE,
            "DetailType": f"registration.{change.kind}",
            "Detail": json.encode(change.detail).decode(),
        }
        (answer,) = self._client.put_events(Entries=[entry])["Entries"]
        if "ErrorCode" in answer:
            raise PublishError(answer["ErrorCode"])


def _find_code(error: Exception) -> str | None:
    if isinstance(error, PublishError):
        return error.code
    code: str | None = getattr(error, "response", {}).get("Error", {}).get("Code")
    return code


handler = Feed()
