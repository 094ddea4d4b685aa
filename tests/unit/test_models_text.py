from __future__ import annotations

import sys

from pydantic import ValidationError

from pushreg.models.engagement import Unsubscribe
from pushreg.models.places import Registration
from pushreg.models.text import is_blank

CHARACTERS = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]


def accepts_token(text: str) -> bool:
    try:
        return Registration.model_validate({"device_token": text}).device_token == text
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
