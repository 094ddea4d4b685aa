"""Errors shared by the layers, under one root; details are attributes."""

from __future__ import annotations

from typing import Any


class PushregError(Exception):
    """Base class of all errors that Pushreg raises."""


class ConfigurationError(PushregError):
    """A setting is missing or malformed; `name` is its environment variable."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name


class MalformedError(PushregError):
    """Bytes are not in the format they claim; `reason` may be shown to the caller."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RouteError(PushregError):
    """There is no resource at this path."""


class MethodError(PushregError):
    """The resource does not support the method; `allowed` lists those it does."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__(", ".join(allowed))
        self.allowed = allowed


class TooLargeError(PushregError):
    """The body is over the limit of 64 KiB."""


class UnauthenticatedError(PushregError):
    """The request has no credential, or one that is unknown, revoked or of another family."""


class ForbiddenError(PushregError):
    """The credential does not permit the request; `cause` may be shown to the caller."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class ConditionFailedError(PushregError):
    """A conditional write was refused; `items[i]` is the stored item that made write i fail.

    It is None if no item exists, or if write i did not fail: `failed[i]` tells which.
    """

    def __init__(self, items: list[dict[str, Any] | None], failed: list[bool]) -> None:
        super().__init__("condition failed")
        self.items = items
        self.failed = failed


class StaleReadError(PushregError):
    """A conditional write was refused because what was read has changed since; read again and decide again."""


class WriteConflictError(PushregError):
    """A conditional write was refused by the stored item or entity in its way: `stored`, None if there is none."""

    def __init__(self, stored: Any, reason: str = "refused by what is stored") -> None:
        super().__init__(reason)
        self.stored = stored


class StoreError(PushregError):
    """DynamoDB gave no usable response within the request's limits; `code` is that of the last failure."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class ContendedError(StoreError):
    """Other callers kept changing the items that the request wanted to change; trying again later may succeed."""

    def __init__(self) -> None:
        super().__init__("Contention")
