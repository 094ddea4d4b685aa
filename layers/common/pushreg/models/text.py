"""Which texts count as blank or as no token, by one rule for all families and for the OpenAPI document."""

import re

# Unicode's White_Space, spelled out: `\s` is another set in pydantic's engine, in Python's and in ECMA 262's.
_BLANKS = "\t\n\v\f\r \u0085\u00a0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
# What clients send when they have no token: how their languages print a missing value, and errors that the predecessors
# of FCM returned in the token's place (docs/compatibility.md#all-dialects).
PLACEHOLDERS = frozenset(
    {
        "null",
        "undefined",
        "(null)",
        "nil",
        "none",
        "nan",
        "blacklisted",
        "service_not_available",
        "[object object]",
    }
)
# How iOS 13 and later print a Data object, from which apps took their token.
DATA_DESCRIPTION = r"\{ *length *= *[0-9]+ *, *bytes *=.*\}"
_DATA_DESCRIPTION = re.compile(DATA_DESCRIPTION, re.DOTALL)


def is_blank(text: str) -> bool:
    """Whether the text is empty or white space alone."""
    return not text.strip(_BLANKS)


def trim(text: str) -> str:
    """Return the text without the white space at its ends."""
    return text.strip(_BLANKS)


def is_placeholder(text: str) -> bool:
    """Whether the text stands for no token: blank, one of PLACEHOLDERS in any case, or iOS's description of a Data."""
    trimmed = trim(text)
    return not trimmed or trimmed.lower() in PLACEHOLDERS or _DATA_DESCRIPTION.fullmatch(trimmed) is not None
