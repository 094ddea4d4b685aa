"""Plots as plain SVG, drawn from the figures that a run has measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

WIDTH, BAR, GAP, LEFT = 760, 26, 10, 260
OURS, OTHERS, INK = "#2a6fdb", "#b8c0cc", "#1c2733"


def draw_bars(title: str, unit: str, values: Mapping[str, float]) -> str:
    """Return horizontal bars, Pushreg's own in a colour of their own."""
    top = max(values.values())
    height = 50 + len(values) * (BAR + GAP)
    shapes = [_text(16, 28, title, 16, "bold")]
    for index, (name, value) in enumerate(values.items()):
        y = 46 + index * (BAR + GAP)
        length = (WIDTH - LEFT - 110) * value / top
        colour = OURS if name.startswith("pushreg") else OTHERS
        shapes.append(_text(LEFT - 10, y + 18, name, 13, anchor="end"))
        shapes.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="3" fill="{colour}"/>')
        shapes.append(_text(LEFT + length + 8, y + 18, f"{value:,.0f} {unit}", 13))
    return _frame(height, shapes)


def draw_line(title: str, points: Sequence[tuple[float, float]], x_unit: str, y_unit: str) -> str:
    """Return a line through points on two logarithmic scales, each point with its value."""
    xs, ys = ([math.log10(pair[axis]) for pair in points] for axis in (0, 1))
    height = 320
    shapes = [_text(16, 28, title, 16, "bold"), _text(WIDTH - 16, height - 10, x_unit, 12, anchor="end")]

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - xs[0]) / (xs[-1] - xs[0])
        up = (y - ys[0]) / (ys[-1] - ys[0])
        return 90 + across * (WIDTH - 220), height - 60 - up * (height - 140)

    placed = [place(x, y) for x, y in zip(xs, ys, strict=True)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    shapes.append(f'<polyline points="{path}" fill="none" stroke="{OURS}" stroke-width="3"/>')
    for (x, y), (devices, dollars) in zip(placed, points, strict=True):
        shapes.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{OURS}"/>')
        shapes.append(_text(x, y - 14, f"{y_unit}{dollars:,.2f}", 13, anchor="middle"))
        shapes.append(_text(x, height - 30, f"{devices:,.0f}", 12, anchor="middle"))
    return _frame(height, shapes)


def write(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw what the results allow, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    if "cold" in results:
        values = {name: each["cpu_ms"] for name, each in results["cold"].items()}
        drawn["cold.svg"] = draw_bars("Cold init, CPU of one processor", "ms", values)
    if "warm" in results:
        values = {
            f"{_name(variant)}: {scenario}": each["us"]
            for scenario, variants in results["warm"].items()
            for variant, each in variants.items()
        }
        drawn["warm.svg"] = draw_bars("A warm request, CPU without the network", "µs", values)
    if "cost" in results:
        points = [(float(devices), dollars) for devices, dollars in results["cost"]["per_month"].items()]
        drawn["cost.svg"] = draw_line("Dollars a month, each device refreshing daily", points, "devices", "$")
    for name, svg in drawn.items():
        (folder / name).write_text(svg, encoding="utf-8")
    return [folder / name for name in drawn]


def _name(variant: str) -> str:
    return {"powertools": "Powertools", "fastapi": "FastAPI", "chalice": "Chalice"}.get(variant, variant)


def _text(x: float, y: float, text: str, size: int, weight: str = "normal", anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}">'
        f"{escape(text)}</text>"
    )


def _frame(height: int, shapes: Sequence[str]) -> str:
    style = f'font-family="system-ui, sans-serif" fill="{INK}"'
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(shapes)}</svg>\n'
    )
