"""Compares actual with expected values: equal including types, except for matchers such as `$re`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

Bindings = dict[str, Any]
MISSING: Any = object()


def differences(expected: Any, actual: Any, bindings: Bindings, where: str = "") -> Iterator[str]:
    """Yield a line for each difference; `$same` binds the names that it meets first."""
    if isinstance(expected, dict) and any(key.startswith("$") for key in expected):
        for name, argument in expected.items():
            if not _MATCHERS[name](argument, actual, bindings):
                yield f"{where}: wanted {name} {argument!r}, got {_show(actual)}"
    elif isinstance(expected, dict) and isinstance(actual, dict):
        for key in expected.keys() | actual.keys():
            if key in expected:
                yield from differences(expected[key], actual.get(key, MISSING), bindings, f"{where}.{key}")
            else:
                yield f"{where}.{key}: not expected, got {actual[key]!r}"
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for index, (one, other) in enumerate(zip(expected, actual, strict=True)):
            yield from differences(one, other, bindings, f"{where}[{index}]")
    # True == 1 == 1.0 in Python, not in JSON.
    elif type(expected) is not type(actual) or expected != actual:
        yield f"{where}: wanted {expected!r}, got {_show(actual)}"


def _show(actual: Any) -> str:
    return "nothing" if actual is MISSING else repr(actual)


def _same(name: str, actual: Any, bindings: Bindings) -> bool:
    return bool(actual is not MISSING and bindings.setdefault(name, actual) == actual)


def _has_words(words: list[str], actual: Any, bindings: Bindings) -> bool:
    return isinstance(actual, str) and sorted(re.split(r",\s*", actual)) == sorted(words)


_MATCHERS: dict[str, Callable[[Any, Any, Bindings], bool]] = {
    "$re": lambda pattern, actual, _: isinstance(actual, str) and re.search(pattern, actual) is not None,
    "$any": lambda _, actual, __: actual is not MISSING,
    "$absent": lambda _, actual, __: actual is MISSING,
    "$optional": lambda _, __, ___: True,
    "$same": _same,
    "$number": lambda name, actual, bindings: type(actual) is int and str(actual) == bindings.get(name),
    "$not": lambda value, actual, _: actual is not MISSING and actual != value,
    "$one_of": lambda values, actual, _: actual in values,
    "$set": lambda values, actual, _: isinstance(actual, list) and sorted(actual) == sorted(values),
    "$range": lambda ends, actual, _: isinstance(actual, int) and ends[0] <= actual <= ends[1],
    "$words": _has_words,
}
