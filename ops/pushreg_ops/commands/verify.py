"""`pushreg verify`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pushreg.clock import now
from pushreg.schema import TABLE_KEYS
from pushreg_ops.commands.options import Json, Local, Stack, reach
from pushreg_ops.migrate.files import SupersededFile
from pushreg_ops.migrate.formats.pushreg import to_line
from pushreg_ops.progress import meter
from pushreg_ops.records.entities import StoredEntity
from pushreg_ops.records.redaction import shorten
from pushreg_ops.records.scanning import estimate
from pushreg_ops.registry import Registry
from pushreg_ops.terminal import Terminal, count
from pushreg_ops.verify.checking import MAX_FINDINGS, Finding, Verifier, verify
from pushreg_ops.verify.repairing import EXPIRING, Proposal, Repairer

# Violations to print; the others are only counted.
SHOWN = 50


def run(
    repair: Annotated[
        bool, typer.Option("--repair", help="Repair what can be repaired safely, after showing what will be done.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before repairing.")] = False,
    keep: Annotated[
        Path, typer.Option(metavar="FILE", help="File for registrations that a repair removes, as JSON Lines.")
    ] = Path("pushreg-removed.jsonl"),
    stack: Stack = None,
    local: Local = False,
    json: Json = False,
) -> None:
    """Check the stored data; repair with --repair.

    Reads all tables and checks the invariants; live traffic may go on. Each violation is confirmed by a transactional
    read of the items involved before it is reported. Exit code 1: violations were found and not repaired.

    \b
    Examples:
      pushreg verify --stack restored
      pushreg verify --repair --local
    """
    terminal = Terminal(as_json=json)
    with reach(stack, local) as registry:
        epoch = int(now().timestamp())
        verifier, findings = _verify(registry, epoch)
        repairer = Repairer(registry, epoch, _save_to(keep))
        with meter("Planning repairs", len(findings)) as bar:
            proposals = []
            for each in findings:
                proposals.append(repairer.propose(each))
                bar.advance(1)
        counts = _count(verifier)
        expired = sum(each["expired"] for each in counts.values())
        report: dict[str, Any] = {"tables": counts, "violations": [_describe(each) for each in proposals]}
        _show(terminal, counts, proposals)
        if repair and (expired or any(each.repair for each in proposals)):
            if not yes:
                terminal.confirm(_confirmation(proposals, expired))
            repaired, removed = _repair(registry, repairer, proposals, expired)
            # Not the whole registry again: a repair changes only the items around its finding.
            with meter("Checking again", len(findings)) as bar:
                findings = repairer.find_left(findings, bar.advance)
            report |= {"repaired": repaired, "expired_removed": removed, "left": len(findings)}
            terminal.say(f"{repaired:,} repaired, {count(removed, 'expired item')} removed")
        terminal.show(report, f"{count(len(findings), 'violation')}{' left' if repair else ''}")
    if findings:
        more = " or more" if len(findings) >= MAX_FINDINGS else ""
        again = "run it again and look into what cannot be repaired" if repair else "see `pushreg verify --repair`"
        terminal.complain(f"{count(len(findings), 'violation')}{more}: {again}")
        raise typer.Exit(1)


def _verify(registry: Registry, epoch: int) -> tuple[Verifier, list[Finding]]:
    total = sum(estimate(registry.client, name) for name in registry.tables.values())
    with meter("Verifying", total) as bar:
        return verify(registry, epoch, bar.advance)


def _repair(registry: Registry, repairer: Repairer, proposals: Sequence[Proposal], expired: int) -> tuple[int, int]:
    with meter("Repairing", len(proposals)) as bar:
        repaired = repairer.apply(proposals, bar.advance)
    if not expired:
        return repaired, 0
    total = sum(estimate(registry.client, registry.tables[table]) for table in EXPIRING)
    with meter("Removing expired items", total) as bar:
        return repaired, repairer.remove_expired(bar.advance)


def _save_to(path: Path) -> Callable[[StoredEntity], None]:
    superseded = SupersededFile(path)
    return lambda entity: superseded.write(
        {"reason": "removed by pushreg verify", "row": None, "record": to_line(entity)}
    )


def _count(verifier: Verifier) -> dict[str, dict[str, int]]:
    return {table: {name: verifier.counts[table, name] for name in ("items", "expired")} for table in TABLE_KEYS}


def _describe(proposal: Proposal) -> dict[str, Any]:
    violation = proposal.finding.violation
    return {
        "table": proposal.finding.table,
        "rule": str(violation.rule),
        "detail": violation.detail,
        "keys": list(violation.keys),
        "repair": proposal.repair.description if proposal.repair is not None else None,
    }


def _show(terminal: Terminal, counts: Mapping[str, Mapping[str, int]], proposals: Sequence[Proposal]) -> None:
    for table, numbers in counts.items():
        expired = f", {numbers['expired']:,} expired" if numbers["expired"] else ""
        terminal.say(f"{table}: {count(numbers['items'], 'item')}{expired}")
    for proposal in proposals[:SHOWN]:
        violation = proposal.finding.violation
        where = "; ".join(map(shorten, violation.keys))
        terminal.say(f"{proposal.finding.table}: {violation.detail} ({where})", "bold")
        terminal.say(f"  repair: {proposal.repair.description}" if proposal.repair else "  no safe repair")
    if len(proposals) > SHOWN:
        terminal.say(f"and {len(proposals) - SHOWN:,} more, which --json lists")


def _confirmation(proposals: Sequence[Proposal], expired: int) -> str:
    repairs = [each.repair for each in proposals if each.repair is not None]
    removed = sum(len(each.removed) for each in repairs)
    gone = f"{count(removed, 'registration')} and {count(expired, 'expired item')}"
    return f"Make {count(len(repairs), 'repair')}, removing {gone}?"
