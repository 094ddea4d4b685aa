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
from pushreg.schema import DEVICES, PLACES, SUBSCRIBERS
from pushreg_ops.auditing import read_audit
from pushreg_ops.aws import connect_streams
from pushreg_ops.console.changes import ChangeLog
from pushreg_ops.provision import Provisioner
from pushreg_ops.records.inspection import MAX_SHOWN, Inspector, owner_of
from pushreg_ops.records.scanning import estimate, ignore
from pushreg_ops.records.statistics import MAX_OWNERS, Statistics
from pushreg_ops.records.wording import NO_KEY, describe_change, describe_key, describe_scan, to_lines
from pushreg_ops.registry import Registry, explain_failures
from pushreg_ops.streams import Follower

# A form with the longest token, percent-encoded.
MAX_FORM = 16 * 1024
# Own resources only and no inline code or style.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # The address contains the token.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_FAMILIES = {"kazoo": "account", "engagement": "application", "places": "place"}


class Pages:
    """The pages about one registry; `target` are the options that select it on the command line."""

    def __init__(self, registry: Registry, target: str, clock: Clock, counted_items: int) -> None:
        self._registry = registry
        self._target = shlex.split(target)
        self._clock = clock
        self._counted_items = counted_items
        self._counts: dict[str, Any] | None = None
        self._changes = ChangeLog(lambda: Follower(registry, connect_streams(registry.client)))
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).with_name("templates")),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["thousands"] = "{:,}".format

    def show_overview(self, request: Request) -> Response:
        """Show the numbers of the last count; a small registry is counted when the page has loaded."""
        with explain_failures(self._registry):
            tables = self._registry.tables
            items = sum(estimate(self._registry.client, tables[table]) for table in (DEVICES, SUBSCRIBERS, PLACES))
            _, scan = describe_scan(self._registry)
        is_small = self._counts is None and items <= self._counted_items
        commands = [self._command(name) for name in ("doctor", "verify", "stats --json", "export all.jsonl.gz")]
        return self._render(request, "overview", scan=scan, is_small=is_small, counts=self._counts, commands=commands)

    def show_counts(self, request: Request) -> Response:
        """Count the registrations, as `pushreg stats` does."""
        time = self._clock()
        with explain_failures(self._registry):
            counted = Statistics(self._registry, int(time.timestamp()), ignore).collect()
        families = {family: counts.to_record() for family, counts in counted.items()}
        self._counts = {"time": to_iso(time), "families": families, "owner": _FAMILIES, "most": MAX_OWNERS}
        return self._render(request, "counts", counts=self._counts)

    def show_search_form(self, request: Request) -> Response:
        """Show the empty search form."""
        return self._render(request, "search", results=None)

    async def search(self, request: Request) -> Response:
        """Show the registrations that an id or token leads to, as `pushreg show` does.

        By POST, so that no token gets into the browser's history.
        """
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_FORM:
                return self._render(request, "problem", 413, problem="this is too long to be an id or a token")
        form = parse_qs(body.decode("utf-8", "replace"))
        text = form.get("what", [""])[0].strip()
        if not text:
            return self._render(request, "problem", 400, problem="nothing to look up: enter an id or a token")
        return await run_in_threadpool(self._search, request, text, "scan" in form)

    def _search(self, request: Request, text: str, scans: bool) -> Response:
        with explain_failures(self._registry):
            inspector = Inspector(self._registry, int(self._clock().timestamp()))
            found = inspector.find(text)
            if not found and scans:
                found = list(inspector.search(text, ignore))
            records = [inspector.describe(each) for each in found]
            scan = "" if found or scans else f"{NO_KEY} {describe_scan(self._registry)[1]}."
            entries = {text, *(owner_of(each)[1] for each in found)}
            audit = [each for each in read_audit(self._registry) if each["entry"] in entries]
        results = [
            {"record": record, "lines": to_lines(record)[1:], "commands": self._list_commands(record)}
            for record in records
        ]
        return self._render(request, "results", text=text, results=results, scan=scan, most=MAX_SHOWN, audit=audit)

    def show_changes(self, request: Request) -> Response:
        """Show the latest changes of registrations, as `pushreg tail` does; htmx asks again and gets only news."""
        with explain_failures(self._registry):
            number, changes = self._changes.read()
        if request.query_params.get("after") == str(number):
            return Response(status_code=204, headers=HEADERS)
        lines = [describe_change(each) for each in changes]
        return self._render(request, "changes", number=number, changes=lines, command=self._command("tail"))

    def show_keys(self, request: Request) -> Response:
        """List the API keys, as `pushreg keys list` does."""
        with explain_failures(self._registry):
            keys = [describe_key(key) for key in Provisioner(self._registry).list_keys()]
        commands = {key["key_id"]: self._command("keys revoke", key["key_id"]) for key in keys}
        return self._render(
            request, "keys", keys=keys, commands=commands, issue=self._command("keys issue --places all")
        )

    def show_problem(self, request: Request, problem: Exception) -> Response:
        """Show why a page cannot be shown."""
        return self._render(request, "problem", 502, problem=str(problem))

    def _list_commands(self, record: dict[str, Any]) -> list[str]:
        """Return the commands for what an operator may want to do about a registration."""
        match record["family"]:
            case "places":
                commands = [self._command("remove", record["place"], "-") + " < token.txt"]
            case "engagement":
                commands = [self._command("remove", record["ksid"])]
                if record["user"]:
                    commands.append(self._command("erase", f"--ufid={record['user']}"))
            case _:
                commands = [self._command("remove", record["device"])]
        if record["problems"]:
            commands.append(self._command("verify --repair"))
        return commands

    def _command(self, name: str, *arguments: str) -> str:
        # After -- an id that begins with a hyphen is no option.
        end = ["--"] if any(each.startswith("-") and len(each) > 1 and each[:2] != "--" for each in arguments) else []
        return f"pushreg {name} {shlex.join([*self._target, *end, *arguments])}"

    def _render(self, request: Request, name: str, status: int = 200, **values: Any) -> Response:
        """Return the page, or its content alone if htmx asks for it."""
        values |= {
            "layout": "fragment.html" if "hx-request" in request.headers else "page.html",
            "registry": self._registry.description,
            "name": name,
        }
        return HTMLResponse(self._templates.get_template(f"{name}.html").render(values), status, HEADERS)
