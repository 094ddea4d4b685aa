from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pushreg.models.places import TokenBody
from pushreg.schema import to_place_id


@given(st.uuids())
def test_place_id_in_any_letter_case_is_lower_cased(place: uuid.UUID) -> None:
    assert to_place_id(str(place)) == to_place_id(str(place).upper()) == str(place)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "place-123",
        "1ee68c4e70084227a92de1b13ac64f30",
        "{1ee68c4e-7008-4227-a92d-e1b13ac64f30}",
        "1ee68c4e-7008-4227-a92d-e1b13ac64f3",
        "1ee68c4e-7008-4227-a92d-e1b13ac64f300",
        "1ee68c4e-7008-4227-a92d-e1b13ac64f3g",
        "1ee68c4e-7008-4227-a92d-e1b13ac64f30\n",
        "\u0661ee68c4e-7008-4227-a92d-e1b13ac64f30",
    ],
)
def test_place_id_that_is_no_uuid_returns_none(text: str) -> None:
    assert to_place_id(text) is None


@given(st.text(max_size=40))
def test_place_id_of_any_text_is_uuid_or_none(text: str) -> None:
    found = to_place_id(text)
    assert found is None or str(uuid.UUID(found)) == found


@pytest.mark.parametrize("token", ["a", " a ", "eGCgkKMKFHQ:APA91b-XOvT8_", "ä" * 2048, "x" * 4096])
def test_device_token_is_kept_unchanged(token: str) -> None:
    assert TokenBody.model_validate({"device_token": token, "other": 1}).device_token == token


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "token",
        {},
        {"device_token": None},
        {"device_token": ""},
        {"device_token": " \t\n"},
        {"device_token": 5},
        {"device_token": ["token"]},
        {"device_token": "x" * 4097},
        {"device_token": "ä" * 2049},
        {"deviceToken": "token"},
    ],
)
def test_registration_without_valid_token_is_refused(body: Any) -> None:
    with pytest.raises(ValidationError):
        TokenBody.model_validate(body)
