"""What an operator is told when a command cannot go on."""

from __future__ import annotations

from pushreg.errors import PushregError


class OperatorError(PushregError):
    """The command is refused; the message is for the operator and names the fix."""


class TemplateError(OperatorError):
    """template.yaml says something that the local stack does not understand."""


class EngineError(OperatorError):
    """A database engine cannot be had or does not start."""
