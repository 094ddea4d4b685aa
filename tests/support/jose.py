"""Tokens made by a library of another language: jose, for Node, from npm."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGE = "jose@6.2.18"
_SCRIPT = Path(__file__).with_name("jose.mjs")


def make_token(folder: Path, kid: str, account_id: str, algorithm: str = "RS256") -> tuple[Path, str]:
    """Return the file of a public key, and a token with Kazoo's claims that is signed with it, good for an hour.

    Skips the test, saying why, where Node, npm or its registry is missing.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no Node with npm")
    # The cache of npm spares the registry from the second time on.
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline", PACKAGE]
    if subprocess.run(install, cwd=folder, capture_output=True, timeout=120).returncode != 0:
        pytest.skip(f"npm cannot install {PACKAGE}")
    script, pem = folder / _SCRIPT.name, folder / f"{kid}.pem"
    script.write_bytes(_SCRIPT.read_bytes())
    command = ["node", str(script), str(pem), kid, account_id, algorithm]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return pem, ran.stdout.strip()
