"""Errors that end a command."""

from __future__ import annotations

from pushreg.errors import PushregError


class OperatorError(PushregError):
    """The command cannot be carried out; the message tells the operator why and how to fix it."""


class StoppedError(OperatorError):
    """Ctrl-C ended the command; the message says how to go on."""


class TemplateError(OperatorError):
    """template.yaml contains something that the local stack does not support."""


class EngineError(OperatorError):
    """A database engine is not available or does not start."""
