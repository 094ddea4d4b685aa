"""Writes docs/openapi.yaml: `make openapi`."""

from __future__ import annotations

from pathlib import Path

from pushreg_local.template import Template, find_template, load_template
from tests.support.contract.recording import record
from tools.openapi.document import build
from tools.openapi.text import FILE, render

TARGET = Path(__file__).parents[3] / FILE


def read_template() -> Template:
    """Return what template.yaml routes."""
    return load_template(find_template(Path(__file__)).read_text("utf-8"))


def main() -> None:
    """Play the cases and write the document."""
    template = read_template()
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(render(build(template, record(template.routes))), "utf-8")


if __name__ == "__main__":
    main()
