import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.meta.layers import Module, faults, read_modules

PROJECT = Path(__file__).parents[2]
DEPLOYED = [PROJECT / "layers" / "common", PROJECT / "functions"]
PROBE = Path(__file__).with_name("import_probe.py")


def import_cleanly(roots: list[Path], modules: list[str]) -> list[str]:
    run = subprocess.run(
        [sys.executable, "-I", "-B", PROBE, *roots, "--", *modules],
        capture_output=True,
        check=False,
        text=True,
        env={"PATH": "/nonexistent"},
    )
    assert run.returncode == 0, run.stderr
    found: list[str] = json.loads(run.stdout)
    return found


def test_layers_of_project_have_no_faults() -> None:
    modules = read_modules(*DEPLOYED, PROJECT / "ops")
    assert {module.name.split(".")[0] for module in modules} >= {
        "pushreg",
        "kazoo",
        "engagement",
        "places",
        "pushreg_ops",
    }
    assert faults(modules) == []


def test_import_of_deployed_code_does_no_io() -> None:
    modules = [module.name for module in read_modules(*DEPLOYED)]
    assert import_cleanly(DEPLOYED, modules) == []


@pytest.mark.parametrize(
    ("name", "source", "fault"),
    [
        (
            "pushreg.errors",
            "import pushreg.dynamodb",
            "pushreg.errors:1 imports pushreg.dynamodb, which is above it",
        ),
        (
            "pushreg.errors",
            "from pushreg import dynamodb",
            "pushreg.errors:1 imports pushreg.dynamodb, which is above it",
        ),
        (
            "pushreg.errors",
            "from . import dynamodb",
            "pushreg.errors:1 imports pushreg.dynamodb, which is above it",
        ),
        (
            "pushreg.errors",
            "from .dynamodb import Session",
            "pushreg.errors:1 imports pushreg.dynamodb, which is above it",
        ),
        (
            "pushreg.config",
            "import pushreg.models.kazoo",
            "pushreg.config:1 imports pushreg.models.kazoo, which is beside it",
        ),
        ("pushreg", "import pushreg.errors", "pushreg:1 imports pushreg.errors, which is above it"),
        ("kazoo.app", "import places.app", "kazoo.app:1 imports places.app, which is beside it"),
        ("kazoo.app", "import pushreg_ops.cli", "kazoo.app:1 imports pushreg_ops.cli, which is above it"),
        (
            "kazoo.app",
            "import pushreg.stores.places",
            "kazoo.app:1 imports pushreg.stores.places, another family's",
        ),
        (
            "pushreg.stores.places",
            "if TYPE_CHECKING:\n    from pushreg.models import kazoo",
            "pushreg.stores.places:2 imports pushreg.models.kazoo, another family's",
        ),
        (
            "places.app",
            "import boto3",
            "places.app:1 imports boto3, which belongs to feed.app, pushreg.dynamodb, pushreg_local.client,"
            " pushreg_ops.aws, smoke.app",
        ),
        (
            "pushreg.http",
            "from botocore.exceptions import ClientError",
            "pushreg.http:1 imports botocore.exceptions, which belongs to"
            " pushreg.dynamodb, pushreg.transport, pushreg_local.client, pushreg_ops.aws, smoke.app",
        ),
        (
            "pushreg_ops.cli",
            "import xml.sax",
            "pushreg_ops.cli:1 imports xml.sax, which belongs to pushreg.codecs.xml",
        ),
        ("pushreg.dynamodb", "def f():\n    import json", "pushreg.dynamodb:2 imports inside a function"),
        (
            "kazoo.app",
            "import os\nos.environ",
            "kazoo.app:2 reads the environment, which pushreg.config does",
        ),
        (
            "kazoo.app",
            "import os as o\no.getenv('A')",
            "kazoo.app:2 reads the environment, which pushreg.config does",
        ),
        (
            "kazoo.app",
            "from os import environ",
            "kazoo.app:1 reads the environment, which pushreg.config does",
        ),
        ("pushreg.helpers", "", "pushreg.helpers has no place in the order"),
    ],
)
def test_layers_violation_is_reported(name: str, source: str, fault: str) -> None:
    package = name == "pushreg"
    others = [Module(other, "") for other in ("pushreg.dynamodb", "pushreg.models.kazoo") if other != name]
    assert faults([Module(name, source, package), *others]) == [fault]


def test_layers_cycle_inside_package_is_reported() -> None:
    modules = [
        Module("pushreg.models.kazoo", "from pushreg.models import shared"),
        Module("pushreg.models.shared", "import pushreg.models.kazoo"),
    ]
    assert any(fault.endswith(": a cycle") for fault in faults(modules))


def test_layers_cycle_between_folders_is_reported() -> None:
    modules = [
        Module("pushreg_local.engines.java", "from pushreg_local.pages import text"),
        Module("pushreg_local.engines.memory", ""),
        Module("pushreg_local.pages.text", ""),
        Module("pushreg_local.pages.routes", "import pushreg_local.engines.memory"),
    ]
    assert [fault for fault in faults(modules) if "pages" in fault and fault.endswith(": a cycle")]


def test_layers_downward_imports_are_allowed() -> None:
    modules = [
        Module("kazoo.app", "from kazoo import operations\nfrom pushreg.http import render\nimport json"),
        Module("kazoo.operations", "from pushreg.stores.devices import Devices"),
        Module("pushreg.dynamodb", "import botocore.session\nfrom pushreg import errors"),
        Module("pushreg.config", "import os\nos.environ"),
        Module("pushreg.codecs.xml", "import xmltodict"),
        Module("pushreg_ops.cli", "import os\nos.environ\nfrom pushreg.dynamodb import Table"),
    ]
    assert faults(modules) == []


@pytest.mark.parametrize(
    ("source", "deed"),
    [
        ("open('/etc/passwd')", "bad.py opens /etc/passwd (r)"),
        ("import os\nos.environ.get('TABLE')", "bad.py reads the environment's TABLE"),
        ("import os\n'TABLE' in os.environ", "bad.py reads the environment's TABLE"),
        ("import socket\nsocket.getaddrinfo('127.0.0.1', 80)", "bad.py socket.getaddrinfo"),
        ("import os\nos.system('true')", "bad.py os.system"),
    ],
)
def test_import_probe_reports_io(tmp_path: Path, source: str, deed: str) -> None:
    (tmp_path / "bad.py").write_text(source, encoding="utf-8")
    assert deed in import_cleanly([tmp_path], ["bad"])
