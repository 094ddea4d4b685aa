"""The bound on the size of an answer: nobody gets much more out of the registry than they put in."""

from __future__ import annotations

from collections.abc import Mapping

FACTOR, ALLOWANCE = 4, 2048


def is_bounded(status: int, method: str, path: str, headers: Mapping[str, str], sent: int, answered: int) -> bool:
    """Whether the answer, of `answered` bytes, is at most four times the request plus 2 KB.

    `sent` is the length of the request's body. What a GET asks for may be longer: it was stored by longer requests.
    """
    if method == "GET" and status == 200:
        return True
    request = (
        len(path.encode("utf-8", "surrogatepass"))
        + sent
        + sum(len(name) + len(value.encode("utf-8", "surrogatepass")) for name, value in headers.items())
    )
    return answered <= FACTOR * request + ALLOWANCE
