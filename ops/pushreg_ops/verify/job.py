"""A verification from the first look to the last repair."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pushreg.dynamodb import Session, delete
from pushreg.errors import ConditionFailedError
from pushreg.schema import EXPIRED, PLACES, SUBSCRIBERS
from pushreg_ops.records.entities import Head
from pushreg_ops.records.neighbors import TIME_LIMIT, Reader, key_in
from pushreg_ops.records.scanning import Progress, ignore, scan
from pushreg_ops.targets import Registry
from pushreg_ops.verify.checking import Finding, Verifier
from pushreg_ops.verify.repairing import Repair, plan

# Rows that carry a time to live.
EXPIRING = (SUBSCRIBERS, PLACES)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A finding and what would mend it, if anything safe would."""

    finding: Finding
    repair: Repair | None


class Mender:
    """Repairs one registry beside live traffic; `keep` is given what is about to be removed, and makes it durable.

    Each repair is one transaction. Killed at any point, what is left is what another verification finds.
    """

    def __init__(self, registry: Registry, epoch: int, keep: Callable[[Head], None]) -> None:
        self._registry = registry
        self._epoch = epoch
        self._keep = keep
        self._reader = Reader(registry.client, registry.tables, epoch)

    def propose(self, finding: Finding) -> Proposal:
        """Return what would be done."""
        return Proposal(finding, self._plan(finding))

    def apply(self, proposals: Sequence[Proposal], progress: Progress = ignore) -> int:
        """Carry out what was proposed, where it is still called for, and return how much was."""
        done = 0
        for proposal in proposals:
            done += self._apply(proposal)
            progress(1)
        return done

    def remove_expired(self, progress: Progress = ignore) -> int:
        """Delete what has expired, as DynamoDB will some day, and return how much there was."""
        count = 0
        for table in EXPIRING:
            name = self._registry.tables[table]
            expired = scan(self._registry.client, name, progress, EXPIRED, epoch=self._epoch)
            for page in expired:
                count += sum(self._delete_expired(table, name, item) for item in page)
        return count

    def _plan(self, finding: Finding) -> Repair | None:
        items = self._reader.read_around(finding.table, finding.violation.keys)
        return plan(finding, items, self._registry.tables[finding.table], self._epoch)

    def _apply(self, proposal: Proposal) -> bool:
        repair = self._plan(proposal.finding)
        # What was shown is what is done: where things have changed since, the next verification tells.
        if repair is None or proposal.repair is None or repair.description != proposal.repair.description:
            return False
        for head in repair.removed:
            self._keep(head)
        return self._transact(repair.writes)

    def _delete_expired(self, table: str, name: str, item: dict[str, object]) -> bool:
        return self._transact([delete(name, key_in(table, item), EXPIRED, epoch=self._epoch)])

    def _transact(self, writes: Sequence[dict[str, object]]) -> bool:
        try:
            Session(self._registry.client, TIME_LIMIT).transact(writes, uuid.uuid4().hex)
        except ConditionFailedError:
            return False
        return True


def verify(registry: Registry, epoch: int, progress: Progress = ignore) -> tuple[Verifier, list[Finding]]:
    """Read all tables once, and return the counts with what was found."""
    verifier = Verifier(registry, epoch, progress)
    return verifier, list(verifier.find())
