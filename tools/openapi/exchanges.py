"""Exchanges with the API as they happened, and the choice of those that show best what each status means."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pushreg.codecs import xml


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request to a route and its answer, under the id of the case that it is from.

    `usual` tells whether it needs no more than the demo data, `settings` how the functions were set otherwise.
    """

    case: str
    usual: bool
    settings: Mapping[str, str]
    route: str
    method: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]
    request: bytes | None
    status: int
    answer_headers: Mapping[str, str]
    answer: bytes

    @property
    def request_type(self) -> str:
        """The request's media type in lower case, without parameters."""
        return _read_type(self.headers)

    @property
    def answer_type(self) -> str:
        """The answer's media type in lower case, without parameters."""
        return _read_type(self.answer_headers)


@dataclass(frozen=True, slots=True)
class Example:
    """An exchange and what its answer says in a few words."""

    title: str
    exchange: Exchange


class Examples:
    """The exchanges of one family worth showing: the best one of each kind of answer."""

    def __init__(self, exchanges: Iterable[Exchange], name: Callable[[Any], str], preferred: tuple[str, ...]) -> None:
        self._chosen: dict[tuple[str, int, str], dict[str, Exchange]] = {}
        usable = (each for each in exchanges if not each.settings)
        for each in sorted(usable, key=lambda exchange: _rank(exchange, preferred)):
            key = (each.method, each.status, each.answer_type)
            title = name(decode(each.answer_type, each.answer)) if each.answer else ""
            self._chosen.setdefault(key, {}).setdefault(title, each)

    def find(self, method: str, status: int, media_type: str = "") -> list[Example]:
        """Return one exchange for each kind of answer, the best first."""
        chosen = self._chosen.get((method, status, media_type), {})
        return [Example(title, exchange) for title, exchange in chosen.items()]

    def find_successes(self, method: str) -> list[Example]:
        """Return those of every success of the method."""
        keys = sorted(key for key in self._chosen if key[0] == method and key[1] < 300)
        return [each for key in keys for each in self.find(*key)]


def decode(media_type: str, body: bytes) -> Any:
    """Return the data in a body."""
    return xml.decode(body) if "xml" in media_type else json.loads(body)


def show(media_type: str, body: bytes) -> Any:
    """Return a body as an example holds it: JSON as data, XML as text."""
    return body.decode() if "xml" in media_type else json.loads(body)


def _rank(exchange: Exchange, preferred: tuple[str, ...]) -> tuple[bool, bool, int]:
    file = exchange.case.partition(":")[0]
    position = preferred.index(file) if file in preferred else len(preferred)
    # A KSID that somebody else was given finds nothing when the example is tried.
    return not exchange.usual, b"ksid" in (exchange.request or b""), position


def _read_type(headers: Mapping[str, str]) -> str:
    value = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    return value.partition(";")[0].strip().lower()
