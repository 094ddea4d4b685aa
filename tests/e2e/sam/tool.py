"""The SAM CLI as a child process: building, and serving what was built in Lambda's containers."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.engine import find_port

PROJECT = Path(__file__).parents[3]
ARCHITECTURE = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")
IMAGE = f"public.ecr.aws/lambda/python:3.13-{ARCHITECTURE}"
# What sam makes of the image, with a layer and without.
BUILT_IMAGES = ("samcli/lambda-python", "public.ecr.aws/lambda/python:*-rapid-*")
# Only for what hangs: pulling the image may take minutes.
PATIENCE = 600


def find_sam() -> Path:
    """Return the SAM CLI; skip the test, saying why, if it or a Docker engine is missing."""
    own = PROJECT / ".venv-sam" / "bin" / "sam"
    found = own if own.is_file() else shutil.which("sam")
    if found is None:
        pytest.skip("no SAM CLI: `make test-sam` installs it")
    if shutil.which("docker") is None or subprocess.run(["docker", "info"], capture_output=True).returncode != 0:
        pytest.skip("no Docker engine answers")
    return Path(found)


@dataclass(frozen=True)
class Sam:
    """The command, its telemetry off."""

    path: Path

    def start(self, *arguments: str, cwd: Path, **options: Any) -> subprocess.Popen[bytes]:
        """Start the command in the folder."""
        return subprocess.Popen([str(self.path), *arguments], cwd=cwd, env=_environ(), **options)

    def run(self, *arguments: str, cwd: Path) -> str:
        """Run the command in the folder and return its result; AssertionError, with all it said, if it fails."""
        process = self.start(*arguments, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        result, messages = (output.decode() for output in process.communicate(timeout=PATIENCE))
        assert process.returncode == 0, result + messages
        return result


def _environ() -> dict[str, str]:
    # As samconfig.toml says, which `sam` does not find beside a built template.
    return {**os.environ, "SAM_CLI_TELEMETRY": "0", "SAM_CLI_ENABLE_LANGUAGE_EXTENSIONS": "1"}


def choose_options(**parameters: str) -> list[str]:
    """Return the options that every `sam local` here needs; an image that is there is not looked for elsewhere."""
    given = {"Architecture": ARCHITECTURE, **parameters}
    options = ["--parameter-overrides", *(f"{name}={value}" for name, value in given.items())]
    inspected = subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True)
    return [*options, "--skip-pull-image"] if inspected.returncode == 0 else options


def list_docker(*command: str) -> set[str]:
    """Return the lines that a docker command prints."""
    ran = subprocess.run(["docker", *command], capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


@contextmanager
def serve(sam: Sam, template: Path, log: Path, **parameters: str) -> Iterator[str]:
    """Serve the template's API and yield its address; leave no container and no image that was not there before."""
    containers, images = list_docker("ps", "-aq"), _list_built_images()
    port = find_port()
    arguments = ["--template", str(template), "--port", str(port), "--warm-containers", "LAZY"]
    with log.open("wb") as output:
        process = sam.start(
            *("local", "start-api", *arguments, *choose_options(**parameters)),
            cwd=template.parent,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _await(port, process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
        left = list_docker("ps", "-aq") - containers
        for image in _list_built_images() - images:
            subprocess.run(["docker", "rmi", "--force", image], capture_output=True, check=True)
        assert not left, f"sam left containers behind: {left}"


def _list_built_images() -> set[str]:
    # By name: one may be built upon the other, and then only loses its name until the other goes.
    filters = [f"--filter=reference={name}" for name in BUILT_IMAGES]
    return list_docker("images", "--format={{.Repository}}:{{.Tag}}", *filters)


def _await(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert process.poll() is None, log.read_text("utf-8")
        time.sleep(0.1)
    pytest.fail(f"sam local does not answer: {log.read_text('utf-8')}")


@contextmanager
def lend_to_containers(endpoint: str) -> Iterator[str]:
    """Yield an address by which containers reach a server of this machine's loopback address.

    Docker Desktop has a name for the machine, loopback included. An engine on Linux has none: its containers see the
    bridge's own address, so that one passes on what it gets, and nobody outside this machine sees it.
    """
    served = urlsplit(endpoint)
    if platform.system() != "Linux":
        yield f"http://host.docker.internal:{served.port}"
        return
    bridge = json.loads("".join(list_docker("network", "inspect", "bridge", "--format", "{{json .IPAM.Config}}")))[0]
    address = bridge.get("Gateway") or str(ipaddress.ip_network(bridge["Subnet"])[1])
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(served.hostname, served.port)
        await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))

    server = asyncio.run_coroutine_threadsafe(asyncio.start_server(relay, address, 0), loop).result()
    try:
        yield f"http://{address}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while content := await reader.read(65536):
            writer.write(content)
            await writer.drain()
    writer.close()
