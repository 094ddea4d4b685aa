"""Exports into and imports from whatever a person names: files, links, pipes, devices, compressed or not."""

from __future__ import annotations

import gzip
import io
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

import pytest

from pushreg_local.errors import OperatorError
from pushreg_ops.migrate.sources import FileSource, recognize
from pushreg_ops.migrate.streams import STANDARD, open_output

LINES = b'{"a":1}\n{"a":2}\n\n{"a":3}\n'


def rows(source: FileSource, skip: int = 0) -> list[tuple[int, int | None]]:
    return [(row.content["a"], row.line) for row in source.read(skip)]


def fail_after(file: IO[bytes]) -> None:
    file.write(b"half")
    raise ValueError("stop")


def test_output_replaces_regular_file_only_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="stop"), open_output(path) as file:
        fail_after(file)
    assert path.read_bytes() == b"old"
    with open_output(path) as file:
        file.write(b"new")
    assert (path.read_bytes(), [each.name for each in tmp_path.iterdir()]) == (b"new", ["out.jsonl"])


def test_output_replaces_target_of_symbolic_link_and_keeps_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "real.jsonl", tmp_path / "link.jsonl"
    link.symlink_to(target)
    for content in (b"created", b"replaced"):
        with open_output(link) as file:
            file.write(content)
        assert (link.is_symlink(), target.read_bytes()) == (True, content)


def test_output_writes_into_named_pipe_and_keeps_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    with open_output(pipe) as file:
        file.write(b"through")
    reader.join(60)
    assert (read, stat.S_ISFIFO(pipe.lstat().st_mode)) == ([b"through"], True)


def test_output_keeps_device(tmp_path: Path) -> None:
    link = tmp_path / "null"
    link.symlink_to("/dev/null")
    with open_output(link) as file:
        file.write(b"gone")
    assert (link.is_symlink(), stat.S_ISCHR(link.stat().st_mode)) == (True, True)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        (".", "name a file"),
        ("missing/out.jsonl", "check the name"),
        ("file/out.jsonl", "check the name"),
        ("n" * 256, "use a shorter name"),
        ("loop", "use another file or folder"),
    ],
)
def test_output_that_cannot_be_written_is_refused_before_block(tmp_path: Path, name: str, remedy: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OperatorError, match=f"cannot be written: .*: {remedy}$"), open_output(tmp_path / name):
        pytest.fail("the block ran")


@pytest.mark.parametrize("name", ["/dev/stdout", "/proc/self/fd/1", "link"])
def test_output_open_stream_is_appended_to(tmp_path: Path, name: str) -> None:
    """As the shell's `>> file` asks for."""
    (tmp_path / "link").symlink_to("/dev/stdout")
    (tmp_path / "all.jsonl").write_bytes(b"kept\n")
    code = (
        "import sys; from pathlib import Path; from pushreg_ops.migrate.streams import open_output\n"
        "with open_output(Path(sys.argv[1])) as file: file.write(b'added\\n')"
    )
    with (tmp_path / "all.jsonl").open("ab") as file:
        subprocess.run([sys.executable, "-c", code, name], stdout=file, cwd=tmp_path, check=True)
    assert ((tmp_path / "all.jsonl").read_bytes(), (tmp_path / "link").is_symlink()) == (b"kept\nadded\n", True)


def test_output_name_may_have_255_bytes(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 124 + ".jsonl")
    with open_output(path) as file:
        file.write(LINES)
    assert path.read_bytes() == LINES


def test_output_full_device_is_one_line() -> None:
    with pytest.raises(OperatorError, match="No space left"), open_output(Path("/dev/full")) as file:
        file.write(b"x" * 100_000)


@pytest.mark.parametrize("name", ["out.jsonl.gz", "OUT.JSONL.GZ"])
def test_output_with_gz_suffix_is_compressed(tmp_path: Path, name: str) -> None:
    with open_output(tmp_path / name) as file:
        file.write(LINES)
    assert gzip.decompress((tmp_path / name).read_bytes()) == LINES


def test_input_gzip_is_recognized_by_content(tmp_path: Path) -> None:
    path = tmp_path / "no-suffix"
    path.write_bytes(gzip.compress(LINES))
    source = FileSource([path])
    assert (rows(source), rows(source, 2), source.size) == ([(1, 1), (2, 2), (3, 4)], [(3, 4)], None)


def test_input_truncated_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    content = b"".join(b'{"a":%d}\n' % number for number in range(20_000))
    path.write_bytes(gzip.compress(content)[:-100])
    source = FileSource([path])
    with pytest.raises(OperatorError, match="truncated gzip"):
        list(source.read(0))


@pytest.mark.parametrize("compress", [False, True])
def test_input_named_pipe_is_read_once_through(tmp_path: Path, compress: bool) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = gzip.compress(LINES) if compress else LINES
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    source = FileSource([pipe])
    assert rows(source, 1) == [(2, 2), (3, 4)]
    writer.join(60)


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_input_standard_input_is_read_through_pipe(name: str) -> None:
    code = (
        "import sys; from pathlib import Path; from pushreg_ops.migrate.sources import FileSource\n"
        "print([row.content for row in FileSource([Path(sys.argv[1])]).read(0)])"
    )
    text = "place_id,device_token\np1,t1\n"
    ran = subprocess.run([sys.executable, "-c", code, name], input=text, capture_output=True, text=True, check=True)
    assert ran.stdout == "[{'place_id': 'p1', 'device_token': 't1'}]\n"


def test_input_standard_input_is_read_from_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(LINES)
    code = (
        "import os; from pathlib import Path; from pushreg_ops.migrate.sources import FileSource\n"
        "os.lseek(0, 8, 0); print([row.content['a'] for row in FileSource([Path('/dev/stdin')]).read(0)])"
    )
    with (tmp_path / "rows").open("rb") as file:
        ran = subprocess.run([sys.executable, "-c", code], stdin=file, capture_output=True, text=True, check=True)
    assert ran.stdout == "[2, 3]\n"


@pytest.mark.parametrize("names", [("-", "-"), ("-", "/dev/stdin")])
def test_input_standard_input_twice_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(OperatorError, match="named twice"):
        FileSource([Path(name) for name in names])


def test_standard_output_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written))
    with open_output(STANDARD) as file:
        file.write(LINES)
    assert written.getvalue() == LINES


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        (b'{"total_rows":5,"offset":0,"rows":[\r\n', "kazoo"),
        (b'{"id":"x","doc":{}}\n', "kazoo"),
        (b'{\n "total": 3,\n "subscribers": [', "engagement"),
        (b"place_id,device_token\r\n", "places"),
        (b"place_id;device_token\n", "places"),
        (b'\xef\xbb\xbf"device_token","place_id"\n', "places"),
        (b'{"place_id":"x","device_token":"y"}\n', "places"),
        (b'{"family":"places","place_id":"x","device_token":"y"}\n', None),
        (b'{"reason":"no","row":1,"record":{"family":"places"}}\n', None),
        (b'{"a":1}\n', None),
        (b"junk", None),
        (b"", None),
    ],
)
def test_recognize_names_format_of_other_servers(head: bytes, wanted: str | None) -> None:
    assert recognize(head) == wanted
