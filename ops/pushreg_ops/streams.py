"""Follows the tables' streams from now on, as the change feed does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pushreg.schema import DEVICES, PLACES, SUBSCRIBERS
from pushreg.stores.changes import Change, read_change
from pushreg_local.errors import OperatorError
from pushreg_ops.aws import call_unless
from pushreg_ops.registry import Registry

PAUSE = 1.0
# DynamoDB Local says so of the end of a shard that was still empty; DynamoDB of a record older than a day.
_TRIMMED = "TrimmedDataAccessException"
FOLLOWED = (DEVICES, SUBSCRIBERS, PLACES)


@dataclass
class _Stream:
    table: str
    arn: str
    iterators: dict[str, str | None] = field(default_factory=dict)


class Follower:
    """Reads new records of a registry's streams; OperatorError if its tables have none."""

    def __init__(self, registry: Registry, client: Any, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._sleep = sleep
        self._streams = [_Stream(table, _find_stream(registry, table)) for table in FOLLOWED]
        for stream in self._streams:
            self._open_shards(stream, "LATEST")

    def follow(self) -> Iterator[Change]:
        """Yield each change, about a second after it was made, until the caller stops."""
        while True:
            yield from self.poll()
            self._sleep(PAUSE)

    def poll(self) -> Iterator[Change]:
        """Yield what has changed since the last poll, in order for each registration."""
        for stream in self._streams:
            # Shards opened since the last poll are read from their beginning, and after their parents.
            self._open_shards(stream, "TRIM_HORIZON")
            for shard in stream.iterators:
                yield from self._read(stream, shard)

    def _open_shards(self, stream: _Stream, kind: str) -> None:
        start: dict[str, str] = {}
        while True:
            described = self._client.describe_stream(StreamArn=stream.arn, **start)["StreamDescription"]
            for shard in described["Shards"]:
                if shard["ShardId"] not in stream.iterators:
                    stream.iterators[shard["ShardId"]] = self._open(stream, shard["ShardId"], kind)
            if "LastEvaluatedShardId" not in described:
                return
            start = {"ExclusiveStartShardId": described["LastEvaluatedShardId"]}

    def _open(self, stream: _Stream, shard: str, kind: str) -> str:
        answer = self._client.get_shard_iterator(StreamArn=stream.arn, ShardId=shard, ShardIteratorType=kind)
        return str(answer["ShardIterator"])

    def _read(self, stream: _Stream, shard: str) -> Iterator[Change]:
        while (iterator := stream.iterators[shard]) is not None:
            answer = call_unless(self._client.get_records, _TRIMMED, ShardIterator=iterator)
            if answer is None:
                stream.iterators[shard] = self._open(stream, shard, "TRIM_HORIZON")
                return
            stream.iterators[shard] = answer.get("NextShardIterator")
            changes = (read_change(stream.table, record) for record in answer["Records"])
            yield from (change for change in changes if change is not None)
            if not answer["Records"]:
                return


def _find_stream(registry: Registry, table: str) -> str:
    described: Mapping[str, Any] = registry.client.describe_table(TableName=registry.tables[table])["Table"]
    if not described.get("StreamSpecification", {}).get("StreamEnabled"):
        raise OperatorError(
            f"{table} of {registry.description} has no stream: deploy with ChangeFeed=true; locally, start"
            " `pushreg local` again with DynamoDB Local, since the store `memory` has none"
        )
    return str(described["LatestStreamArn"])
