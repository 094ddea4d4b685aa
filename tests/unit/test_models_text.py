from __future__ import annotations

import sys

import pytest
from pydantic import ValidationError

from pushreg.models.engagement import Unsubscribe
from pushreg.models.places import TokenBody
from pushreg.models.text import is_blank, is_placeholder, trim

CHARACTERS = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]


def accepts_token(text: str) -> bool:
    try:
        return TokenBody.model_validate({"device_token": text}).device_token == text
    except ValidationError:
        return False


def test_is_blank_matches_unicode_white_space() -> None:
    # Python counts the four separators of ASCII among them, Unicode does not.
    white = {each for each in CHARACTERS if each.isspace()} - set("\x1c\x1d\x1e\x1f")
    assert {each for each in CHARACTERS if is_blank(each)} == white
    assert is_blank("")


def test_models_agree_with_is_blank_on_white_space() -> None:
    assert [each for each in CHARACTERS[:0x3100] if accepts_token(each) == is_blank(each)] == []


def test_models_treat_blank_alike_in_required_and_optional_fields() -> None:
    for text in ("\x85", "\u2028 ", "\x1c", "\ufeff"):
        assert (Unsubscribe(ksid="1", appId=text).appId is None) == (not accepts_token(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "undefined",
        "(null)",
        "nil",
        "None",
        "NaN",
        "BLACKLISTED",
        "SERVICE_NOT_AVAILABLE",
        "[object Object]",
        "{length = 32, bytes = 0x965b251c 6cb1926d e3cb366f dfb16ddd ... 2e5b9f8e 2ec9ae1d }",
        "{length=32,bytes=0x965b251c}",
    ],
)
def test_is_placeholder_with_text_of_a_missing_token_is_true(text: str) -> None:
    assert is_placeholder(text)
    assert is_placeholder(f" \u2003{text}\n")
    if not text.startswith("{"):
        assert is_placeholder(text.swapcase())


@pytest.mark.parametrize(
    "text", ["nullable", "null:1", "0", "{}", "{length = 32}", "length = 32, bytes = 0x96", "d8f1"]
)
def test_is_placeholder_with_other_text_is_false(text: str) -> None:
    assert not is_placeholder(text)


def test_trim_removes_white_space_at_both_ends_alone() -> None:
    assert [trim(text) for text in ("", "\u3000 ", " a\tb\u2029", "\x1ca")] == ["", "", "a\tb", "\x1ca"]
