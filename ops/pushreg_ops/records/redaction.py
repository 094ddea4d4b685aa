"""Redaction of secrets and keys for display: enough to tell two apart, too little to use."""

from __future__ import annotations

import re

from pushreg.schema import DIGEST, Key
from pushreg_ops.terminal import escape

SHOWN = 6
# The ends of a shorter secret would give too much of it away.
LONG_ENOUGH = 24
_DIGEST = re.compile(DIGEST)


def redact(secret: str) -> str:
    """Return the secret's length and, if it is long, its two ends."""
    if len(secret) < LONG_ENOUGH:
        return f"…({len(secret)} characters)"
    return f"{secret[:SHOWN]}…{secret[-SHOWN:]} ({len(secret)} characters)"


def shorten(key: Key) -> str:
    """Return the key in readable form, with digests shortened."""
    return " ".join(_DIGEST.sub(lambda match: f"{match[0][:8]}…", escape(value)) for value in key.values())
