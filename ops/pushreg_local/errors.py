"""Errors that end a command."""

from __future__ import annotations

import errno

from pushreg.errors import PushregError

_REMEDIES = {
    errno.EACCES: "use a file or folder that you have the right to",
    errno.EDQUOT: "free some space, or use another folder",
    errno.EISDIR: "name a file",
    errno.EMFILE: "close other programs, or raise `ulimit -n`",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.ENOENT: "check the name",
    errno.ENOSPC: "free some space, or use another folder",
    errno.ENOTDIR: "check the name",
    errno.EPERM: "use a file or folder that you have the right to",
    errno.EROFS: "use a folder that you may write to",
}


class OperatorError(PushregError):
    """The command cannot be carried out; the message tells the operator why and how to fix it."""


class StoppedError(OperatorError):
    """Ctrl-C ended the command; the message says how to go on."""


class TemplateError(OperatorError):
    """template.yaml contains something that the local stack does not support."""


class EngineError(OperatorError):
    """A database engine is not available or does not start."""


def explain_os_error(error: OSError) -> str:
    """Return the reason for a failure on a person's own file or folder, and what to do about it."""
    return f"{error.strerror or error}: {_REMEDIES.get(error.errno or 0, 'use another file or folder')}"
