"""The commands shown in the documents, in the order of the page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# A fenced session, or an indented command with the lines that it continues on.
_BLOCK = re.compile(
    r"^```console\n(?P<session>.*?)^```|^ {4,}(?P<command>(?:make|pushreg|sam|aws|curl) (?:[^\n]*\\\n)*[^\n]*)",
    re.DOTALL | re.MULTILINE,
)
_COMMAND = re.compile(r"(?:[^\n]*\\\n)*[^\n]*")
_LOCAL_SIGNS = ("127.0.0.1:3000", "127.0.0.1:8000", "--local")


@dataclass(frozen=True)
class ShownCommand:
    """A command of a document, and the output printed under it."""

    document: str
    command: str
    output: str = ""

    @property
    def is_local(self) -> bool:
        """Whether it is for the local stack; the others are for a deployed one, or start something that stays."""
        return any(sign in self.command for sign in _LOCAL_SIGNS)


def read_commands(document: Path) -> list[ShownCommand]:
    """Return every command of the document; continued lines are joined."""
    shown = []
    for block in _BLOCK.finditer(document.read_text("utf-8")):
        if block["command"] is not None:
            shown.append(ShownCommand(document.name, block["command"].replace("\\\n", " ")))
            continue
        session = block["session"]
        for part in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
            match = _COMMAND.match(part)
            assert match is not None
            shown.append(ShownCommand(document.name, match[0].replace("\\\n", " "), part[match.end() :].strip()))
        shown += [ShownCommand(document.name, line) for line in session.splitlines() if line.startswith("make ")]
    return shown
