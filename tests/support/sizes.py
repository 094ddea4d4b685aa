"""The bound on the size of an answer: nobody gets much more out of the registry than they put in."""

from __future__ import annotations

from collections.abc import Mapping

FACTOR, ALLOWANCE = 4, 2048
# Their answers have a result for each of at most 100 entries.
_ENTRYWISE = ("/pushreg/v1/feedback", "/pushreg/v1/lookup")


def is_bounded(status: int, method: str, path: str, headers: Mapping[str, str], sent: int, answered: int) -> bool:
    """Whether the answer, of `answered` bytes, is at most four times the request plus 2 KB.

    `sent` is the length of the request's body. What a GET or a sender's key asks for may be longer: it was stored by
    longer requests.
    """
    if status == 200 and (method == "GET" or path.endswith(_ENTRYWISE)):
        return True
    request = (
        len(path.encode("utf-8", "surrogatepass"))
        + sent
        + sum(len(name) + len(value.encode("utf-8", "surrogatepass")) for name, value in headers.items())
    )
    return answered <= FACTOR * request + ALLOWANCE
