"""Which texts say nothing, by one rule for required and optional members and for the OpenAPI document."""

import re

# Unicode's White_Space, spelled out: `\s` is another set in pydantic's engine, in Python's and in ECMA 262's.
BLANKS = r"\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
VISIBLE = f"[^{BLANKS}]"
_VISIBLE = re.compile(VISIBLE)


def is_blank(text: str) -> bool:
    """Whether nothing in the text can be seen."""
    return _VISIBLE.search(text) is None
