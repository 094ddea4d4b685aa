"""The interpreter, paths and environment that Lambda would give each variant."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from bench.scenarios import ENVIRONMENT

ROOT = Path(__file__).resolve().parent.parent
BUILT = ROOT / ".aws-sam" / "bench"
FUNCTIONS = {"kazoo": "KazooFunction", "engagement": "EngagementFunction", "places": "PlacesFunction"}
TOKENS_LAYER = "TokensLayer"
# As in template.yaml.
LAYERS = {
    "KazooFunction": ("CommonLayer", TOKENS_LAYER),
    "EngagementFunction": ("CommonLayer",),
    "PlacesFunction": ("CommonLayer", TOKENS_LAYER),
    "SendersFunction": ("CommonLayer",),
}


def runtime_packages() -> Path:
    """Return the folder that stands for Lambda's own packages: boto3, awslambdaric, and the peers beside them."""
    return Path(sysconfig.get_paths()["purelib"])


def paths(variant: str, family: str) -> list[str]:
    """Return the import path of a variant in Lambda's order: the function, its layers, the runtime."""
    runtime = str(runtime_packages())
    if variant == "pushreg":
        function = FUNCTIONS[family]
        layers = (str(BUILT / layer / "python") for layer in LAYERS[function])
        return [str(BUILT / function), *layers, runtime, str(ROOT)]
    return [str(ROOT), runtime]


def environment(variant: str, family: str, endpoint: str | None) -> dict[str, str]:
    """Return the variables of a variant's process; nothing of this process's own is passed on but PATH."""
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(paths(variant, family)),
        # Lambda's folders are read-only.
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "AWS_EC2_METADATA_DISABLED": "true",
        "DIRECTORY_TABLE": "Directory",
        "METRICS_NAMESPACE": "Pushreg",
        **ENVIRONMENT[family],
    }
    if variant == "pushreg":
        # As in template.yaml.
        variables["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    if endpoint is not None:
        variables["AWS_ENDPOINT_URL_DYNAMODB"] = variables["DYNAMODB_ENDPOINT"] = endpoint
    return variables


def command(*arguments: str) -> list[str]:
    """Return the command that runs this interpreter without site-packages, as Lambda's is."""
    return [sys.executable, "-S", *arguments]


def prepare() -> None:
    """Compile the peers, so that nobody compiles while being measured."""
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(ROOT / "bench")], check=True)
