"""Secrets as a person may see them: enough to tell two apart, too little to use."""

from __future__ import annotations

import re

from pushreg.schema import DIGEST, Key

SHOWN = 6
# A shorter one would be given away by its ends.
LONG_ENOUGH = 24
_DIGEST = re.compile(DIGEST)


def redact(secret: str) -> str:
    """Return the ends of a long token and the length of any."""
    if len(secret) < LONG_ENOUGH:
        return f"…({len(secret)} characters)"
    return f"{secret[:SHOWN]}…{secret[-SHOWN:]} ({len(secret)} characters)"


def shorten(key: Key) -> str:
    """Return the key as a person can read it, digests cut."""
    return " ".join(_DIGEST.sub(lambda match: f"{match[0][:8]}…", value) for value in key.values())
