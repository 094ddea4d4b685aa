"""Reads the contract cases (format: tests/cases/README.md)."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from pushreg_local.intrinsics import SAFE_LOADER

ROOT = Path(__file__).parents[2] / "cases"
COMMON = "common"
# The tables that a family writes to, by the folder of its cases.
TABLES = {
    "kazoo": ("devices",),
    "engagement": ("subscribers",),
    "engagement_v1": ("subscribers",),
    "places": ("places",),
    "senders": ("devices", "subscribers", "places"),
}


class Part(BaseModel):
    """A request, an expectation or a wish about the tables; a member it does not know is a typo."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Request(Part):
    """What to send: at most one of the three kinds of body."""

    method: str
    path: str
    headers: dict[str, str | None] = {}
    data: Any = Field(None, alias="json")
    text: str | None = None
    parts: list[Any] | None = None


class Expectation(Part):
    """What must come back: the status and, where named, headers and one form of the body."""

    status: Any
    headers: dict[str, Any] = {}
    data: Any = Field(None, alias="json")
    xml: Any = None
    empty: bool = False


class StoredItem(Part):
    """One row that must stand in a table, or must not."""

    table: Literal["devices", "subscribers", "places"]
    key: dict[str, str]
    item: dict[str, Any] = {}
    absent: bool = False


class Step(Part):
    """One exchange and what is in the tables after it."""

    request: Request
    expect: Expectation
    stored: Literal["unchanged"] | list[StoredItem] = []


class Given(Part):
    """What the directory holds before the first step, and how the functions are set."""

    accounts: list[str] = []
    places: list[str] = []
    applications: list[dict[str, Any]] = []
    keys: list[dict[str, Any]] = []
    environment: dict[str, str] = {}
    outage: bool = False
    contention: bool = False

    @property
    def special(self) -> bool:
        """Whether the case needs functions of its own, set otherwise or in trouble with the store."""
        return self.outage or self.contention or bool(self.environment)


@dataclass(frozen=True)
class Case:
    """A story of one or more steps; `kind` is its file, `variables` may still hold placeholders."""

    id: str
    kind: str
    tables: tuple[str, ...]
    source: str
    variables: dict[str, Any]
    given: Given
    steps: list[Step]


class _Document(Part):
    variables: dict[str, Any] = Field({}, alias="vars")
    source: str = ""
    request: dict[str, Any] = {}
    answers: dict[str, dict[str, Any]] = {}
    cases: list[dict[str, Any]] = []


class _Entry(Part):
    name: str
    source: str = ""
    variables: dict[str, Any] = Field({}, alias="vars")
    each: dict[str, list[Any]] = {}
    given: Given = Given()
    steps: list[dict[str, Any]]


def load_cases(root: Path = ROOT) -> list[Case]:
    """Return every case below the folder, variants expanded; ValueError names a repeated id."""
    cases = [case for path in sorted(root.glob("*/*.yaml")) if path.stem != COMMON for case in _read(path)]
    ids = [case.id for case in cases]
    repeated = sorted({each for each in ids if ids.count(each) > 1})
    if repeated or not cases:
        raise ValueError(f"no cases under {root}, or repeated ids: {repeated}")
    return cases


def text_of(value: Any) -> str:
    """Return a value as it stands inside a longer text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _read(path: Path) -> Iterator[Case]:
    shared = path.with_name(f"{COMMON}.yaml")
    common = _document(shared) if shared.exists() else _Document()
    own = _document(path)
    defaults = _merge(common.request, own.request)
    answers = {**common.answers, **own.answers}
    for raw in own.cases:
        step = {name: raw.pop(name) for name in ("request", "expect", "stored") if name in raw}
        entry = _Entry.model_validate({"steps": [step], **raw})
        steps = [_step(each, defaults, answers) for each in entry.steps]
        for choice in itertools.product(*entry.each.values()):
            chosen = dict(zip(entry.each, choice, strict=True))
            name = entry.name
            for variable, value in chosen.items():
                name = name.replace(f"{{{variable}}}", _label(value))
            yield Case(
                id=f"{path.parent.name}/{path.stem}: {name}",
                kind=path.stem,
                tables=TABLES[path.parent.name],
                source=entry.source or own.source,
                variables={**common.variables, **own.variables, **entry.variables, **chosen},
                given=entry.given,
                steps=steps,
            )


def _label(value: Any) -> str:
    """Return what a name shows of a variant; a text that could be taken for another value, or for none, is quoted."""
    if isinstance(value, str) and value.strip():
        try:
            json.loads(value)
        except ValueError:
            return value
    return json.dumps(value, ensure_ascii=False)


def _document(path: Path) -> _Document:
    return _Document.model_validate(yaml.load(path.read_text("utf-8"), SAFE_LOADER))


def _step(raw: dict[str, Any], defaults: dict[str, Any], answers: dict[str, dict[str, Any]]) -> Step:
    expect = dict(raw["expect"])
    like = answers[expect.pop("like")] if "like" in expect else {}
    return Step.model_validate({**raw, "request": _merge(defaults, raw["request"]), "expect": _merge(like, expect)})


def _merge(base: Any, own: Any) -> Any:
    """Return `base` with what `own` says laid over it; matchers replace whole."""
    plain = all(isinstance(each, dict) and not any(key.startswith("$") for key in each) for each in (base, own))
    if not plain:
        return own
    return {**base, **{key: _merge(base[key], value) if key in base else value for key, value in own.items()}}
