"""The `pushreg` command."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from pushreg_local.errors import OperatorError, StoppedError, explain_os_error
from pushreg_ops.commands import (
    accounts,
    apps,
    audit,
    console,
    demo_token,
    doctor,
    export,
    import_,
    issuers,
    keys,
    local,
    places,
    remove,
    show,
    stats,
    tail,
    verify,
)
from pushreg_ops.commands.options import is_utf8
from pushreg_ops.registry import NoTargetError
from pushreg_ops.terminal import complain

HELP = """Run a push-subscription registry locally and operate deployed ones.

\b
Examples:
  pushreg local                                       serve the API on this machine
  pushreg keys issue --places all --stack pushreg     issue an API key
  pushreg show 4927562634448402412 --stack pushreg    look up a registration
  pushreg export all.jsonl --stack pushreg            export everything
  pushreg doctor --stack pushreg                      run a health check

Select a registry with --stack NAME or PUSHREG_STACK (a deployed stack; `make deploy STAGE=prod` makes one named
pushreg), or with --local (the one that `pushreg local` serves). --json prints machine-readable output.
Exit codes: 0 success, 1 failure or problems found, 2 usage error, 130 stopped by Ctrl-C (0 for `local` and `console`,
which run until then).
"""

app = typer.Typer(
    name="pushreg",
    help=HELP,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    # Rich's boxes leave half of 80 columns for the text and break the examples.
    rich_markup_mode=None,
)
app.command("local")(local.run)
app.command("demo-token")(demo_token.run)
app.command("console")(console.run)
app.command("doctor")(doctor.run)
app.command("show")(show.run)
app.command("remove")(remove.remove)
app.command("erase")(remove.erase)
app.command("audit")(audit.run)
app.command("stats")(stats.run)
app.add_typer(accounts.app, name="accounts")
app.add_typer(places.app, name="places")
app.add_typer(apps.app, name="apps")
app.add_typer(keys.app, name="keys")
app.add_typer(issuers.app, name="issuers")
app.command("import")(import_.run)
app.command("export")(export.run)
app.command("verify")(verify.run)
app.command("tail")(tail.run)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit: 0 done, 1 refused, 2 usage, 130 stopped by Ctrl-C."""
    given = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in given
    if isinstance(sys.stdin, io.TextIOWrapper):
        # For the reader of a line to refuse.
        sys.stdin.reconfigure(errors="surrogateescape")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal's encoding may lack some of our characters.
            stream.reconfigure(errors="replace")
    if not all(map(is_utf8, given)):
        complain("an argument is not valid UTF-8: check the terminal's encoding, or rename the file", as_json=as_json)
        sys.exit(2)
    try:
        # In standalone mode Typer prints usage errors as text.
        code = app(arguments, standalone_mode=not as_json)
    except typer.TyperException as error:
        complain(error.format_message(), as_json=as_json)
        sys.exit(error.exit_code)
    except OperatorError as error:
        complain(str(error), as_json=as_json)
        sys.exit(_EXIT_CODES.get(type(error), 1))
    except typer.Abort:
        complain("the input ended before it was complete", as_json=as_json)
        sys.exit(1)
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        complain(f"{name}{explain_os_error(error)}", as_json=as_json)
        sys.exit(1)
    # Without standalone mode Typer returns the code of typer.Exit.
    sys.exit(code)


_EXIT_CODES: dict[type[OperatorError], int] = {NoTargetError: 2, StoppedError: 130}


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pushreg {version('pushreg')}")
        raise typer.Exit


@app.callback()
def _accept_version(
    show_version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    pass
