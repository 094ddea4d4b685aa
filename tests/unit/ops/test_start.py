"""The `pushreg` command's process: signals at any time, and streams that are closed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

START = [sys.executable, "-c", "from pushreg_ops.start import main; main()"]
# What a shell runs in the background ignores SIGINT, and passes that down.
heed_ctrl_c = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)


def test_start_ctrl_c_during_imports_ends_without_traceback(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(60)")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ran = subprocess.run(START, env=env, stderr=subprocess.PIPE, preexec_fn=heed_ctrl_c)
    assert (ran.returncode, ran.stderr) == (-signal.SIGINT, b"")


@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_start_signal_during_export_leaves_no_file(tmp_path: Path, number: str, code: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = subprocess.Popen(
            [*START, "export", "all.jsonl"],
            cwd=tmp_path,
            env={**os.environ, "PUSHREG_ENDPOINT": endpoint, "PYTHONPATH": ""},
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=heed_ctrl_c,
        )
        # The file is open before the registry is read.
        connection, _ = silent.accept()
        with connection:
            assert len(list(tmp_path.iterdir())) == 1
            process.send_signal(signal.Signals[number])
            _, problem = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in problem, list(tmp_path.iterdir())) == (code, False, [])


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_start_with_closed_stream_is_refused(closed: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *START, "export", "-"], capture_output=True, text=True, cwd=tmp_path
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.count("\n") == (0 if closed == "2>&-" else 1)
    assert "Traceback" not in ran.stderr
