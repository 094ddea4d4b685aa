"""Sizes of what is deployed: each function with its layers, unpacked and zipped."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.figures import table
from bench.interpreter import BUILT, LAYERS, TOKENS_LAYER


def run() -> tuple[str, dict[str, Any]]:
    """Return the table and the figures in MB: of each function, and the largest of those without tokens and with."""
    parts = {name: _measure(BUILT / name) for function, layers in LAYERS.items() for name in (function, *layers)}
    sizes = {
        function: _reduce(sum, [parts[name] for name in (function, *layers)]) for function, layers in LAYERS.items()
    }
    totals = {" + ".join((function, *LAYERS[function])): size for function, size in sizes.items()}
    for kind, has_tokens in (("without tokens", False), ("with tokens", True)):
        chosen = [size for function, size in sizes.items() if (TOKENS_LAYER in LAYERS[function]) is has_tokens]
        totals[f"largest {kind}"] = _reduce(max, chosen)
    data = {
        name: {"unpacked_mb": round(unpacked / 1e6, 1), "zipped_mb": round(zipped / 1e6, 1)}
        for name, (unpacked, zipped) in totals.items()
    }
    rows = [(name, *values.values()) for name, values in data.items()]
    return table(("size", "unpacked MB", "zipped MB"), rows), data


def _reduce(function: Callable[[Iterable[int]], int], sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    unpacked, zipped = map(function, zip(*sizes, strict=True))
    return unpacked, zipped


def _measure(folder: Path) -> tuple[int, int]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.write(path, path.relative_to(folder))
    return sum(path.stat().st_size for path in files), packed.tell()
