import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SKIPPED = {
    "test_mark.py": "import pytest\n@pytest.mark.skip(reason='')\ndef test_it(): pass",
    "test_call.py": "import pytest\ndef test_it(): pytest.skip('')",
    "test_module.py": "import pytest\npytest.skip('', allow_module_level=True)",
    "test_library.py": "import pytest\npytest.importorskip('no_such_module')",
}
EXPECTED = {"test_expected.py": "import pytest\n@pytest.mark.xfail\ndef test_it(): assert False"}


def closing_line(folder: Path, ci: str) -> str:
    for name, source in (SKIPPED | EXPECTED).items():
        (folder / name).write_text(source, encoding="utf-8")
    plugins = ["-p", "no:cacheprovider", "-p", "tests.conftest"]
    options = ["-q", "-c", os.devnull, "--rootdir", str(folder), "--continue-on-collection-errors", str(folder)]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *options],
        capture_output=True,
        check=False,
        cwd=PROJECT,
        env={**os.environ, "CI": ci, "PYTHONDONTWRITEBYTECODE": "1"},
        text=True,
    )
    return run.stdout.splitlines()[-1]


@pytest.mark.slow
def test_skip_under_ci_is_failure(tmp_path: Path) -> None:
    assert closing_line(tmp_path, ci="1").startswith("1 failed, 1 xfailed, 3 errors in")


@pytest.mark.slow
def test_skip_outside_ci_is_skip(tmp_path: Path) -> None:
    assert closing_line(tmp_path, ci="").startswith("4 skipped, 1 xfailed in")
