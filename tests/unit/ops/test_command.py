"""The `pushreg` command without a registry, and with an address that is none."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pushreg_local.errors import OperatorError
from pushreg_local.ready_file import RUNNING, find_running, manage_ready_file, note_running
from pushreg_local.serve import list_routes
from pushreg_local.template import find_template, load_template
from pushreg_ops.registry import NoTargetError, open_registry
from tests.support.command import Run, make_run

TEMPLATE = find_template(Path(__file__))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    for name in ("PUSHREG_ENDPOINT", "PUSHREG_STACK", "DYNAMODB_PORT", "PORT"):
        monkeypatch.delenv(name, raising=False)
    return make_run(capsys)


@pytest.fixture(params=[b"<html><body>404</body></html>", b'{"message":"Not Found"}', b""])
def web_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a web server that is not DynamoDB, such as the API itself."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(404)
            self.end_headers()
            self.wfile.write(request.param)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_command_prints_version_and_short_help(run: Run) -> None:
    assert run("--version")[:2] == (0, "pushreg 1.0.0\n")
    code, out, _ = run("keys", "issue", "-h")
    assert (code, out.startswith("Usage:")) == (0, True)


@pytest.mark.parametrize("group", [(), ("accounts",), ("places",), ("apps",), ("keys",), ("issuers",)])
def test_command_help_summarizes_each_command_without_cutting(run: Run, group: tuple[str, ...]) -> None:
    _, out, _ = run(*group, "-h")
    summaries = out.partition("Commands:\n")[2].splitlines()
    assert summaries
    assert not [line for line in summaries if line.endswith("...")]


def test_command_address_of_something_else_is_one_line(
    web_server: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUSHREG_ENDPOINT", web_server)
    code, out, problem = run("stats", "--local")
    assert (code, out, problem.count("\n")) == (1, "", 1)
    assert "check the address and the port" in problem


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("127.0.0.1:8000", 2),
        ("localhost", 2),
        ("ftp://127.0.0.1:8000", 2),
        ("http://", 2),
        ("http://[::1", 2),
        ("http://a:x", 2),
        ("http://a:99999", 2),
        # botocore refuses these.
        ("http://a b", 1),
        ("http://é:1", 1),
        ("http://a_b:8000", 1),
    ],
)
def test_command_endpoint_that_is_no_url_is_one_line(
    address: str, wanted: int, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUSHREG_ENDPOINT", address)
    code, out, problem = run("stats", "--local")
    assert (code, out, problem.count("\n")) == (wanted, "", 1)
    assert "is no address" in problem


@pytest.mark.parametrize("name", ["PORT", "DYNAMODB_PORT"])
@pytest.mark.parametrize("value", ["abc", "99999", "0", "8000/x?"])
def test_command_port_that_is_none_is_one_line(
    name: str, value: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    code, out, problem = run("stats", "--local")
    assert (code, out, problem.count("\n")) == (2, "", 1)
    assert f"{name} is {value!r}, which is no port" in problem


@pytest.mark.parametrize(
    ("setting", "wanted"),
    [
        ({"AWS_ENDPOINT_URL": "garbage"}, "Invalid endpoint: garbage"),
        ({"AWS_CONFIG_FILE": "process"}, "Expecting value"),
        ({"AWS_CONFIG_FILE": "sso"}, "aws sso login"),
        ({"AWS_PROFILE": "nobody"}, "set AWS_PROFILE to one that exists"),
    ],
)
def test_command_unusable_aws_configuration_is_one_line(
    setting: dict[str, str], wanted: str, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [each for each in os.environ if each.startswith("AWS_")]:
        monkeypatch.delenv(name)
    (tmp_path / "process").write_text("[default]\ncredential_process = echo hello\n")
    account = "sso_start_url = https://x\nsso_region = us-east-1\nsso_account_id = 1\nsso_role_name = x\n"
    (tmp_path / "sso").write_text(f"[default]\n{account}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in ({"AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"} | setting).items():
        monkeypatch.setenv(name, value)
    code, out, problem = run("stats", "--stack", "prod")
    assert (code, out, problem.count("\n")) == (1, "", 1)
    assert wanted in problem


@pytest.mark.parametrize(
    "arguments",
    [
        ("stats",),
        ("show",),
        ("frob",),
        ("show", "x", "--frob"),
        ("keys", "issue", "--places", "x"),
        ("issuers", "add", "x", "--family", "kazoo"),
        ("export",),
    ],
)
def test_command_usage_error_is_json_if_asked_for(run: Run, arguments: tuple[str, ...]) -> None:
    code, out, problem = run(*arguments, "--json")
    assert (code, out, list(json.loads(problem))) == (2, "", ["error"])
    assert "Usage:" not in problem


@pytest.mark.parametrize("arguments", [("show", "\udcff"), ("apps", "add", "a\udcffb"), ("export", "\udcff", "--json")])
def test_command_argument_that_is_not_utf8_is_refused(run: Run, arguments: tuple[str, ...]) -> None:
    code, out, problem = run(*arguments, "--local")
    assert (code, out, problem.count("\n")) == (2, "", 1)
    assert "UTF-8" in problem


@pytest.mark.parametrize("arguments", [("show", "-"), ("remove", "-"), ("erase", "--ufid", "-")])
def test_command_input_that_is_not_utf8_is_refused(
    run: Run, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe\n"), encoding="utf-8"))
    code, out, problem = run(*arguments, "--local")
    assert (code, out) == (2, "")
    assert "not valid UTF-8" in problem


def test_command_without_json_prints_usage(run: Run) -> None:
    code, out, problem = run("show")
    assert (code, out, problem.startswith("Usage: ")) == (2, "", True)


def test_command_end_of_input_at_prompt_is_json_if_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(*_: object) -> str:
        raise EOFError

    monkeypatch.setattr("pushreg_ops.commands.stats.reach", end)
    code, out, problem = run("stats", "--json")
    assert (code, out, list(json.loads(problem.strip()))) == (1, "", ["error"])


def test_command_terminal_without_our_characters_is_no_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii"))
    code, _, _ = run("show", "-h")
    assert code == 0
    print("✓", flush=True)  # noqa: T201
    assert written.getvalue().endswith(b"?\n")


@pytest.mark.parametrize("problem", [PermissionError(13, "Permission denied", "x"), OSError(28, "No space left", "x")])
def test_command_failure_on_own_file_is_one_line(problem: OSError, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise problem

    monkeypatch.setattr("pushreg_ops.commands.stats.reach", fail)
    code, out, complaint = run("stats", "--local")
    assert (code, out, complaint.count("\n")) == (1, "", 1)
    assert complaint.startswith("pushreg: x: ")


def test_open_registry_takes_stack_from_environment_unless_ambiguous() -> None:
    with pytest.raises(NoTargetError, match="are both set"):
        open_registry(None, False, {"PUSHREG_STACK": "prod", "PUSHREG_ENDPOINT": "http://127.0.0.1:9"})


def test_find_running_returns_stack_only_while_it_runs(tmp_path: Path) -> None:
    with note_running(tmp_path) as write:
        assert find_running(tmp_path) is None
        write("http://127.0.0.1:3001", "http://127.0.0.1:8001")
        found = find_running(tmp_path)
        assert found is not None
        assert (found["dynamodb_endpoint"], found["pid"]) == ("http://127.0.0.1:8001", os.getpid())
    assert find_running(tmp_path) is None
    # Left by a killed stack: no process has this id.
    (tmp_path / RUNNING).write_text(json.dumps({**found, "pid": 2**22 + 1}))
    assert find_running(tmp_path) is None
    own: dict[str, object] = {**found}
    damaged: object
    for damaged in ([], {"pid": own["pid"]}, own | {"address": []}, own | {"dynamodb_endpoint": 5}):
        (tmp_path / RUNNING).write_text(json.dumps(damaged))
        assert find_running(tmp_path) is None


def test_ready_file_in_missing_folder_is_refused_before_stack_starts(tmp_path: Path) -> None:
    with (
        pytest.raises(OperatorError, match="missing is not a folder"),
        manage_ready_file(tmp_path / "missing" / "ready.json"),
    ):
        pytest.fail("the block ran")


def test_list_routes_names_methods_of_every_route() -> None:
    keys = [route.key for route in load_template(TEMPLATE.read_text("utf-8")).routes]
    document = (TEMPLATE.parent / "docs" / "openapi.yaml").read_text("utf-8")
    lines = list_routes(keys, document)
    assert len(lines) == len(keys)
    assert [line for line in lines if line.startswith("ANY")] == []
    assert "DELETE, GET, PUT /dts/places/{place_id}/subscriptions" in lines
    assert list_routes(["ANY /unknown", "GET /x"], "") == ["ANY /unknown", "GET /x"]
