"""The document as the YAML that people read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

# In a checkout.
FILE = Path("docs") / "openapi.yaml"
HEADING = "# Written by `make openapi` from the template, the models and the contract cases: change those.\n"


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """Write equal parts out again: an alias is no part of JSON's data model."""
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def render(document: dict[str, Any]) -> str:
    """Return the document's text."""
    return HEADING + yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
