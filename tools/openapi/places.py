"""The Device Token Service's part of the document."""

from __future__ import annotations

from typing import Any

from pushreg.models.places import Registration
from pushreg.schema import MAX_TOKEN_BYTES
from tools.openapi.description import ALLOW, Answer, Family, Operation, refer
from tools.openapi.schemas import JSON, fix, list_object, read_model

UUID = "^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$"


def _success(text: str) -> dict[str, Any]:
    data = list_object(
        place_id={"type": "string", "pattern": UUID.replace("A-F", ""), "description": "In lower case."},
        device_token={"type": "string", "description": "As it was sent."},
    )
    message = list_object(message=fix(text), error={"type": "null"}, data=data, extra={"type": "null"})
    return list_object(status=fix(200), responseType=fix("success"), message=message)


def _refusal(error: str, *messages: str) -> dict[str, Any]:
    return list_object(error=fix(error), message={"enum": list(messages)})


def _answer(text: str, error: str, *messages: str, headers: tuple[str, ...] = ()) -> Answer:
    return Answer(text, {JSON: _refusal(error, *messages)}, headers)


_BAD_REQUEST = _answer(
    "The place is no UUID, or the body names no token.",
    "Bad Request",
    "placeId must be a valid UUID",
    "device_token is required and must be a non-empty string",
)
_UNAUTHORIZED = _answer(
    "No key that the registry knows.", "Unauthorized", "Invalid or missing API key", headers=("WWW-Authenticate",)
)
_FORBIDDEN = _answer(
    "The key's scope is `read`, or the place is not on its list.",
    "Forbidden",
    "The API key's scope does not allow this",
    "The API key has no access to this place",
)
_TOO_LARGE = _answer("The body is over 64 KiB.", "Payload Too Large", "The body is larger than 64 KiB")
_FAILURE = _answer("The database gave no answer in time.", "Internal Server Error", "Database error")

FAMILY = Family(
    title="Places",
    text="FCM registration tokens by place, as UOS's Device Token Service keeps them.",
    name=lambda answer: str(answer["message"]["message"] if "status" in answer else answer["message"]),
    preferred=("places/documented", "places/semantics"),
    operations={
        "PUT": Operation(
            "registerDevice",
            "Register a device's token for a place",
            "Registers the token, or refreshes the time of its registration. Many places may have one token.",
            {
                200: Answer(
                    "The token is registered.",
                    {JSON: _success("Device subscription created/updated successfully")},
                    links=("registerDevice", "unregisterDevice"),
                ),
                400: _BAD_REQUEST,
                401: _UNAUTHORIZED,
                403: _FORBIDDEN,
                404: _answer("Nobody knows the place.", "Not Found", "Place not found"),
                413: _TOO_LARGE,
                500: _FAILURE,
            },
            {JSON: refer("PlaceRegistration")},
        ),
        "DELETE": Operation(
            "unregisterDevice",
            "Remove a device's token from a place",
            "Removes the token that the body names; other places that have it keep it.",
            {
                200: Answer("The token is removed.", {JSON: _success("Device subscription deleted successfully")}),
                400: _BAD_REQUEST,
                401: _UNAUTHORIZED,
                403: _FORBIDDEN,
                404: _answer("The place has no such token.", "Not Found", "Device subscription not found"),
                413: _TOO_LARGE,
                500: _FAILURE,
            },
            {JSON: refer("PlaceRegistration")},
        ),
    },
    refusal=_answer("Any other method.", "Method Not Allowed", "Only PUT and DELETE are supported", headers=("Allow",)),
    schemas={
        "PlaceRegistration": read_model(
            Registration,
            "Other members are ignored.",
            {
                "device_token": {
                    "description": f"FCM registration token, at most {MAX_TOKEN_BYTES:,} bytes in UTF-8, not blank.",
                    "maxLength": MAX_TOKEN_BYTES,
                    "examples": ["eGCgkKMKFHQ:APA91bEhSO-XOvT8"],
                }
            },
        )
    },
    security=("placesKey",),
    security_schemes={
        "placesKey": {
            "type": "http",
            "scheme": "bearer",
            "description": "A key of `pushreg keys issue --places`, with scope `write` or `admin`.",
        }
    },
    path_parameters={
        "place_id": {
            "description": "The place's UUID, in any letter case.",
            "schema": {"type": "string", "pattern": UUID},
        }
    },
    response_headers={
        **ALLOW,
        "WWW-Authenticate": {"description": "How to sign in.", "schema": {"type": "string", "const": "Bearer"}},
    },
)
