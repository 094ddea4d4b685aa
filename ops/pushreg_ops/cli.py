"""The `pushreg` command."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from pushreg_local.errors import OperatorError
from pushreg_ops.commands import (
    accounts,
    apps,
    doctor,
    export,
    import_,
    keys,
    local,
    places,
    remove,
    show,
    stats,
    verify,
)
from pushreg_ops.registry import NoTargetError
from pushreg_ops.terminal import complain

HELP = """Run a push-subscription registry locally and operate deployed ones.

\b
Examples:
  pushreg local                                    serve the API on this machine
  pushreg keys issue --places all --stack prod     issue an API key
  pushreg show 4927562634448402412 --stack prod    look up a registration
  pushreg export all.jsonl --stack prod            export everything
  pushreg doctor --stack prod                      run a health check

Select a registry with --stack NAME (a deployed stack) or --local (the one that `pushreg local` serves). --json prints
machine-readable output. Exit codes: 0 success, 1 failure or problems found, 2 usage error.
"""

app = typer.Typer(
    name="pushreg",
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Rich's boxes leave half of 80 columns for the text and break the examples.
    rich_markup_mode=None,
)
app.command("local")(local.run)
app.command("doctor")(doctor.run)
app.command("show")(show.run)
app.command("remove")(remove.remove)
app.command("erase")(remove.erase)
app.command("stats")(stats.run)
app.add_typer(accounts.app, name="accounts")
app.add_typer(places.app, name="places")
app.add_typer(apps.app, name="apps")
app.add_typer(keys.app, name="keys")
app.command("import")(import_.run)
app.command("export")(export.run)
app.command("verify")(verify.run)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit: 0 done, 1 refused, 2 usage."""
    try:
        app(arguments)
    except NoTargetError as error:
        complain(str(error))
        sys.exit(2)
    except OperatorError as error:
        complain(str(error))
        sys.exit(1)
