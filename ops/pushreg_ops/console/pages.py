"""The pages of the console. They change nothing, and show tokens redacted."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pushreg.clock import Clock, to_iso
from pushreg_local.docs_page import routes as docs_page
from pushreg_ops.auditing import read_audit
from pushreg_ops.aws import connect_streams
from pushreg_ops.console.changes import ChangeLog
from pushreg_ops.provision import Provisioner
from pushreg_ops.records import wording
from pushreg_ops.records.inspection import MAX_SHOWN, Inspector, owner_of
from pushreg_ops.records.scanning import ignore
from pushreg_ops.records.statistics import Statistics
from pushreg_ops.registry import Registry, explain_failures
from pushreg_ops.streams import Follower
from pushreg_ops.terminal import count, quote

# A form with the longest token, percent-encoded.
MAX_FORM = 16 * 1024
HEADERS = {
    **docs_page.HEADERS,
    "Cache-Control": "no-store",
    "Content-Security-Policy": docs_page.POLICY + "img-src 'self'; form-action 'self'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Pages:
    """The pages about one registry; `target` are the options that select it on the command line."""

    def __init__(self, registry: Registry, target: str, clock: Clock, counted_items: int) -> None:
        self._registry = registry
        self._target = shlex.split(target)
        self._clock = clock
        self._counted_items = counted_items
        self._counts: dict[str, dict[str, Any]] = {}
        self._counted_at = ""
        self._changes = ChangeLog(lambda: Follower(registry, connect_streams(registry.client)).poll)
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).with_name("templates")),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals |= {"registry": registry.description, "to_command": self._to_command}
        self._templates.globals |= {"wording": wording, "count": count}

    def show_overview(self, _: Request) -> Response:
        """Show the numbers of the last count; a small registry is counted when the page has loaded."""
        with explain_failures(self._registry):
            items, scan = wording.describe_scan(self._registry)
        is_small = not self._counts and items <= self._counted_items
        return self._render("overview", scan=scan, is_small=is_small, counts=self._counts, counted_at=self._counted_at)

    def count(self, request: Request) -> Response:
        """Count the registrations, as `pushreg stats` does, and show the numbers."""
        time = self._clock()
        with explain_failures(self._registry):
            counted = Statistics(self._registry, int(time.timestamp()), ignore).collect()
        self._counts = {family: counts.to_record() for family, counts in counted.items()}
        self._counted_at = to_iso(time)
        return self.show_overview(request)

    def show_search_form(self, _: Request) -> Response:
        """Show the empty search form."""
        return self._render("search", text="", results=[], scan="", audit=[])

    async def search(self, request: Request) -> Response:
        """Show the registrations that an id or token leads to, as `pushreg show` does.

        By POST, so that no token gets into the browser's history.
        """
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_FORM:
                return self._render("problem", 413, problem="this is too long to be an id or a token")
        form = parse_qs(body.decode("utf-8", "replace"))
        text = form.get("what", [""])[0].strip()
        if not text:
            return self._render("problem", 400, problem="nothing to look up: enter an id or a token")
        return await run_in_threadpool(self._search, text, "scan" in form)

    def _search(self, text: str, scans: bool) -> Response:
        with explain_failures(self._registry):
            inspector = Inspector(self._registry, int(self._clock().timestamp()))
            found = inspector.find(text)
            if not found and scans:
                found = list(inspector.search(text, ignore))
            records = [inspector.describe(each) for each in found]
            scan = "" if found or scans else f"{wording.NO_KEY} {wording.describe_scan(self._registry)[1]}."
            entries = {text, *(owner_of(each)[1] for each in found)}
            audit = [each for each in read_audit(self._registry) if each["entry"] in entries]
        results = [(record, self._list_commands(record)) for record in records]
        return self._render("search", text=text, results=results, scan=scan, audit=audit, most=MAX_SHOWN)

    def show_changes(self, request: Request) -> Response:
        """Show the latest changes of registrations, as `pushreg tail` does; 204 if there are no new ones."""
        with explain_failures(self._registry):
            number, changes = self._changes.read()
        if request.query_params.get("after") == str(number):
            return Response(status_code=204, headers=HEADERS)
        return self._render("changes", number=number, changes=changes)

    def show_keys(self, _: Request) -> Response:
        """List the API keys, as `pushreg keys list` does."""
        with explain_failures(self._registry):
            keys = Provisioner(self._registry).list_keys()
        return self._render("keys", keys=keys, epoch=int(self._clock().timestamp()))

    def show_problem(self, _: Request, problem: Exception) -> Response:
        """Show why a page cannot be shown."""
        return self._render("problem", 502, problem=str(problem))

    def _list_commands(self, record: dict[str, Any]) -> list[str]:
        """Return the commands for what an operator may want to do about a registration."""
        match record["family"]:
            case "places":
                commands = [self._to_command("remove", record["place"], "-") + " < token.txt"]
            case "engagement":
                commands = [self._to_command("remove", record["ksid"])]
                if record["user"]:
                    commands.append(self._to_command("erase", f"--ufid={record['user']}"))
            case _:
                commands = [self._to_command("remove", record["device"])]
        if record["problems"]:
            commands.append(self._to_command("verify --repair"))
        return commands

    def _to_command(self, name: str, *arguments: str) -> str:
        # After -- an id that begins with a hyphen is no option.
        end = ["--"] if any(each.startswith("-") and len(each) > 1 and each[:2] != "--" for each in arguments) else []
        return " ".join(["pushreg", name, *map(quote, [*self._target, *end, *arguments])])

    def _render(self, name: str, status: int = 200, **values: Any) -> Response:
        text = self._templates.get_template(f"{name}.html").render(values, name=name)
        return HTMLResponse(text, status, HEADERS)
