"""The `pushreg` command."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from pushreg_local.errors import OperatorError
from pushreg_ops.commands import directory, doctor, export, import_, keys, local, show, verify
from pushreg_ops.targets import NoTargetError
from pushreg_ops.terminal import complain

HELP = """Run a push-subscription registry on this machine, and look after deployed ones.

\b
Examples:
  pushreg local                                    serve the API here, for trying out
  pushreg keys issue --places all --stack prod     let a caller in
  pushreg show 4927562634448402412 --stack prod    find a registration
  pushreg export all.jsonl --stack prod            take all of them along
  pushreg doctor --stack prod                      see whether it works

--stack NAME is a deployed stack, --local the one that `pushreg local` serves; --json prints for machines. Exit code
0: done; 1: refused, or something is wrong; 2: wrong usage.
"""

app = typer.Typer(
    name="pushreg",
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Rich's boxes leave half of 80 columns for the text, and break the examples.
    rich_markup_mode=None,
)
app.command("local")(local.run)
app.command("doctor")(doctor.run)
app.command("show")(show.show)
app.command("stats")(show.stats)
app.add_typer(directory.create_group("account"), name="accounts")
app.add_typer(directory.create_group("place"), name="places")
app.add_typer(directory.create_application_group(), name="apps")
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
