"""`pushreg remove` and `pushreg erase`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from pushreg.clock import now
from pushreg.schema import SUBSCRIBERS
from pushreg_local.errors import OperatorError
from pushreg_ops.commands.finding import print_registration, read_argument, search
from pushreg_ops.commands.options import Json, Local, Stack, Yes, parse_place_id, reach
from pushreg_ops.progress import meter
from pushreg_ops.records.entities import StoredRegistration, table_of, to_item
from pushreg_ops.records.inspection import Inspector
from pushreg_ops.records.items import StoredSubscriber
from pushreg_ops.records.removal import Remover
from pushreg_ops.records.scanning import estimate, scan
from pushreg_ops.terminal import Terminal, count

NAME = "ID|TOKEN"


def remove(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar=f"[PLACE] {NAME}",
            help="A push token or sid, a KSID, a ufid, or the id of a device or mobile device; after a place's id, a"
            " token of that place only. With - the last one is read from standard input.",
        ),
    ],
    scan_all: Annotated[bool, typer.Option("--scan", help="If no key matches, scan all items without asking.")] = False,
    yes: Yes = False,
    stack: Stack = None,
    local: Local = False,
    json: Json = False,
) -> None:
    """Remove registrations by any id or token, after showing them.

    Each is removed together with its claims in one transaction; one that changed after it was shown stays. To remove
    those of a whole account, application or place, use `pushreg accounts|apps|places remove ID --with-registrations`;
    for a person's request to be forgotten, `pushreg erase`.

    \b
    Examples:
      pushreg remove 4927562634448402412 --stack pushreg
      pushreg remove 1ee68c4e-7008-4227-a92d-e1b13ac64f30 - --local < token.txt
    """
    if len(what) > 2:
        raise typer.BadParameter("give one id or token, or a place and a token", param_hint=NAME)
    place_id = parse_place_id(what[0]) if len(what) > 1 else None
    text = read_argument(what[-1], NAME)
    terminal = Terminal(as_json=json)
    with reach(stack, local) as registry:
        inspector = Inspector(registry, int(now().timestamp()))
        found = inspector.find_exact(text, place_id)
        if not found and place_id is not None:
            raise OperatorError(f"the place {place_id} has no registration with this token")
        if not found and inspector.is_owner(text):
            raise OperatorError(
                "this is an account, application or place: use"
                " `pushreg accounts|apps|places remove ID --with-registrations`"
            )
        found = found or search(registry, inspector, text, scan_all, terminal)
        for each in found:
            print_registration(terminal, inspector.describe(each))
            terminal.say("")
        if not yes:
            terminal.confirm(f"Remove {count(len(found), 'registration')}?")
        remover = Remover(registry)
        outcomes = [remover.remove(each, _equals(each)) for each in found]
    removed = outcomes.count("removed")
    terminal.show({"found": len(found), "removed": removed}, f"{count(removed, 'registration')} removed")
    if "changed" in outcomes:
        terminal.complain(
            f"{count(outcomes.count('changed'), 'registration')} changed after being shown: run the command again"
        )
        raise typer.Exit(1)


def erase(
    ufid: Annotated[str, typer.Option(metavar="UFID", help="The user. With - it is read from standard input.")],
    yes: Yes = False,
    stack: Stack = None,
    local: Local = False,
    json: Json = False,
) -> None:
    """Remove all engagement subscribers of one user.

    Covers every application. Reads the whole table, so that no subscriber is missed. Backups keep what was removed for
    up to 35 days, and the logs hold no ufid. If interrupted, run it again.

    \b
    Example:
      pushreg erase --ufid me@example.com --stack pushreg
    """
    user = read_argument(ufid, "--ufid")
    terminal = Terminal(as_json=json)
    with reach(stack, local) as registry:
        table = registry.tables[SUBSCRIBERS]

        def find(advance: Callable[[int], None]) -> list[dict[str, object]]:
            return [item for page in scan(registry.client, table, advance, _OF_USER, user=user) for item in page]

        with meter("Scanning", estimate(registry.client, table)) as bar:
            found = find(bar.advance)
        if not found:
            raise OperatorError("no subscriber has this ufid")
        applications = sorted({str(item["appId"]) for item in found})
        if not yes:
            terminal.confirm(f"Remove {count(len(found), 'subscriber')} of this user ({', '.join(applications)})?")
        with meter("Removing", len(found)) as bar:
            outcomes = Remover(registry).remove_all(
                [found], SUBSCRIBERS, lambda each: isinstance(each, StoredSubscriber) and each.ufid == user, bar.advance
            )
    removed, unreadable = outcomes["removed"], outcomes["unreadable"]
    terminal.show(
        {"removed": removed, "unreadable": unreadable, "applications": applications},
        f"{count(removed, 'subscriber')} removed",
    )
    if unreadable:
        terminal.complain(f"{count(unreadable, 'item')} of this user unreadable, not removed: run `pushreg verify`")
        raise typer.Exit(1)


# Claims hold the ufid too, but have no appId.
_OF_USER = "ufid = :user AND attribute_exists(appId)"


def _equals(shown: StoredRegistration) -> Callable[[StoredRegistration], bool]:
    return lambda current: table_of(current) == table_of(shown) and to_item(current) == to_item(shown)
