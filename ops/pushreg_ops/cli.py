"""The `pushreg` command."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from pushreg_ops.commands import entries, examining, exporting, importing, inspecting, keys, local, verifying
from pushreg_ops.console import complain
from pushreg_ops.errors import OperatorError
from pushreg_ops.targets import NoTargetError

app = typer.Typer(
    name="pushreg",
    help="Run a push-subscription registry on this machine, and look after deployed ones.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("local")(local.run)
app.add_typer(entries.create_group("account"), name="accounts")
app.add_typer(entries.create_group("place"), name="places")
app.add_typer(entries.create_application_group(), name="apps")
app.add_typer(keys.app, name="keys")
app.command("import")(importing.run)
app.command("export")(exporting.run)
app.command("verify")(verifying.run)
app.command("show")(inspecting.show)
app.command("stats")(inspecting.stats)
app.command("doctor")(examining.run)


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
