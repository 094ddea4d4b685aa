"""References of code, contract cases and documents lead to files and headings that exist."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SUFFIXES = {".py", ".yaml", ".md", ".toml", ".js", ".css", ".html", ".in", ""}
GENERATED = {"docs/openapi.yaml"}
# The path of a document below docs/, with or without a heading.
REFERENCE = re.compile(r"(?<![\w/.-])docs/[\w./-]*\w\.(?:md|py|json|csv|yaml|svg)\b(?:#[\w-]+)?")
LINK = re.compile(r"(?<!!)\[[^\]\n]*(?:\n[^\]\n]*)?\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
FENCE = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
# Marks of documents that are not part of the repository, or that name no document at all.
UNRESOLVABLE = re.compile(r"\bseeds? 00\d|(?<![\w%&#/])C\d{1,2}\b|\b[Ii]nvariants? \d|(?<![\w/])spec/\w+\.md")


def list_files() -> list[Path]:
    """Return the text files under version control, new ones included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.splitlines()
    paths = (PROJECT / name for name in names if name not in GENERATED)
    return [path for path in paths if path.suffix in SUFFIXES and path.is_file()]


FILES = list_files()
DOCUMENTS = [path for path in FILES if path.suffix == ".md"]
CODE = [path for path in FILES if path.suffix == ".py"]


def name(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def slug(heading: str) -> str:
    """Return GitHub's anchor of a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


@cache
def anchors(document: Path) -> frozenset[str]:
    found: set[str] = set()
    seen: Counter[str] = Counter()
    for heading in HEADING.findall(FENCE.sub("", document.read_text("utf-8"))):
        anchor = slug(heading)
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return frozenset(found)


def is_broken(target: str, folder: Path) -> bool:
    """Return whether the path, relative to the folder, or its heading does not exist."""
    path, _, anchor = target.partition("#")
    document = (folder / path).resolve()
    if not document.exists():
        return True
    return bool(anchor) and document.suffix == ".md" and anchor not in anchors(document)


def read_prose(source: str) -> Iterator[str]:
    """Yield the comments and docstrings of a module."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


@pytest.mark.parametrize("path", FILES, ids=name)
def test_reference_to_document_resolves(path: Path) -> None:
    found = REFERENCE.findall(path.read_text("utf-8"))
    # A document may also name a file relative to itself.
    assert [each for each in found if is_broken(each, PROJECT) and is_broken(each, path.parent)] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_markdown_link_resolves(path: Path) -> None:
    text = FENCE.sub("", path.read_text("utf-8"))
    targets = [target for target in LINK.findall(text) if not re.match(r"[a-z]+:", target)]
    broken = [each for each in targets if is_broken(f"{path.name}{each}" if each[0] == "#" else each, path.parent)]
    assert broken == []


@pytest.mark.parametrize("path", CODE, ids=name)
def test_comment_cites_only_documents_of_the_repository(path: Path) -> None:
    prose = read_prose(path.read_text("utf-8"))
    assert [each for each in prose if UNRESOLVABLE.search(each)] == []


@pytest.mark.parametrize("path", sorted((PROJECT / "tests" / "cases").rglob("*.yaml")), ids=name)
def test_contract_case_cites_only_documents_of_the_repository(path: Path) -> None:
    lines = (line.strip() for line in path.read_text("utf-8").splitlines())
    prose = (line for line in lines if line.startswith(("#", "source:", "name:", "- name:")))
    assert [each for each in prose if UNRESOLVABLE.search(each)] == []


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("2. Error envelope", "2-error-envelope"),
        ("2. Legacy request (`/vpns|kpns/subscription`)", "2-legacy-request-vpnskpnssubscription"),
        ("Kony / Quantum", "kony--quantum"),
        ("A [link](x.md) in it", "a-link-in-it"),
    ],
)
def test_slug_of_heading_is_github_anchor(heading: str, anchor: str) -> None:
    assert slug(heading) == anchor


@pytest.mark.parametrize("text", ["see seed 001", "the row (C5)", "holds invariant 2", "spec/kazoo.md section 2"])
def test_unresolvable_mark_is_found(text: str) -> None:
    assert UNRESOLVABLE.search(text)


@pytest.mark.parametrize("target", ["missing.md", "data-model.md#missing"])
def test_broken_reference_is_found(target: str) -> None:
    assert REFERENCE.findall(f"see docs/{target}.") == [f"docs/{target}"]
    assert is_broken(f"docs/{target}", PROJECT)
