"""Sizes of what is deployed: the layer with a function, unpacked and zipped."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

from bench.figures import table
from bench.interpreter import BUILT, FUNCTIONS


def run() -> tuple[str, dict[str, Any]]:
    """Return the table and the figures in MB."""
    layer = BUILT / "CommonLayer"
    data = {}
    for family, name in FUNCTIONS.items():
        unpacked, zipped = (sum(pair) for pair in zip(_measure(layer), _measure(BUILT / name), strict=True))
        data[family] = {"unpacked_mb": round(unpacked / 1e6, 1), "zipped_mb": round(zipped / 1e6, 1)}
    rows = [(f"layer + {name}", *values.values()) for name, values in data.items()]
    return table(("size", "unpacked MB", "zipped MB"), rows), data


def _measure(folder: Path) -> tuple[int, int]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.write(path, path.relative_to(folder))
    return sum(path.stat().st_size for path in files), packed.tell()
