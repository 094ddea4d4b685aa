"""Rows from the subscriber listing of an engagement server, fetched page by page."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlunsplit

import urllib3

from pushreg.codecs import json
from pushreg.errors import MalformedError
from pushreg_local.client import split_address
from pushreg_local.errors import OperatorError
from pushreg_ops.migrate.sources import Row

TIMEOUT = urllib3.Timeout(connect=10, read=60)
RETRIES = urllib3.Retry(5, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504), raise_on_status=False)


class ListingSource:
    """Reads `GET /api/v1/subscribers` of another server to its end."""

    def __init__(
        self, address: str, headers: Mapping[str, str], page_size: int, retries: urllib3.Retry = RETRIES
    ) -> None:
        parts = split_address(address)
        if parts is None:
            raise OperatorError(f"{address} is not a URL like https://HOST/api/v1/subscribers")
        self._parts = parts
        self._headers = {"Accept": "application/json", **headers}
        self._page_size = page_size
        self._pool = urllib3.PoolManager(timeout=TIMEOUT, retries=retries)

    @property
    def name(self) -> str:
        """The URL without user information and query, which may be secret."""
        return f"{self._parts.scheme}://{self._parts.netloc.rpartition('@')[2]}{self._parts.path}"

    @property
    def size(self) -> int | None:
        """Unknown before the first page."""
        return None

    @property
    def fingerprint(self) -> str:
        """A digest of the URL; the listing itself may change while it is read."""
        return hashlib.sha256(urlunsplit(self._parts).encode()).hexdigest()

    def read(self, skip: int) -> Iterator[Row]:
        """Yield the subscribers after the first `skip`; OperatorError if the server does not return them."""
        start = skip
        while True:
            page, total = self._fetch(start)
            for content in page:
                # Pages may exceed pageSize by one row (docs/spec/engagement.md#meaning-of-pagesize), so count the rows.
                start += 1
                yield Row(content, start)
            if not page or (total is not None and start >= total):
                return

    def _fetch(self, start: int) -> tuple[list[Any], int | None]:
        query = [*parse_qsl(self._parts.query), ("start", str(start)), ("pageSize", str(self._page_size))]
        address = urlunsplit(self._parts._replace(query=urlencode(query), fragment=""))
        try:
            # Following a redirect could send the credentials to another host.
            answer = self._pool.request("GET", address, headers=self._headers, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            # Without the connection's representation before it.
            reason = str(getattr(error, "reason", error)).rpartition("): ")[2]
            raise OperatorError(f"{self.name} cannot be reached: {reason}") from error
        if answer.status in (401, 403):
            raise OperatorError(f"{self.name} answers {answer.status}: pass credentials with --header")
        if answer.status != 200:
            raise OperatorError(f"{self.name} answers {answer.status} where a page of subscribers was expected")
        try:
            page = json.decode(answer.data)
        except MalformedError as error:
            raise OperatorError(f"{self.name} did not send JSON: {error.reason}") from error
        rows = page.get("subscribers") if isinstance(page, dict) else None
        if not isinstance(rows, list):
            raise OperatorError(f"{self.name} did not send a page of subscribers")
        total = page.get("total")
        return rows, total if isinstance(total, int) else None
