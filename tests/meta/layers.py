"""The import rule of the code base, as a check over parsed modules."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

# Lowest first: a module imports what stands before it, or its own package.
ORDER = (
    ("pushreg.errors", "pushreg.clock"),
    ("pushreg.schema",),
    ("pushreg.config", "pushreg.models", "pushreg.codecs", "pushreg.transport"),
    ("pushreg.dynamodb", "pushreg.metrics"),
    ("pushreg.stores",),
    ("pushreg.tokens",),
    ("pushreg.credentials",),
    ("pushreg.http",),
    ("kazoo", "engagement", "places", "senders", "smoke", "feed", "pushreg_local"),
    (
        "pushreg_ops.aws",
        "pushreg_ops.directory_writer",
        "pushreg_ops.jwks",
        "pushreg_ops.progress",
        "pushreg_ops.terminal",
    ),
    ("pushreg_ops.registry",),
    ("pushreg_ops.records", "pushreg_ops.streams"),
    ("pushreg_ops.auditing",),
    ("pushreg_ops.provision",),
    ("pushreg_ops.migrate", "pushreg_ops.verify", "pushreg_ops.doctor", "pushreg_ops.console"),
    ("pushreg_ops.commands",),
    ("pushreg_ops.cli",),
    ("pushreg_ops.start",),
)
PLACES = {unit: rank for rank, units in enumerate(ORDER) for unit in units}

FAMILIES = {
    "kazoo": "kazoo",
    "pushreg.models.kazoo": "kazoo",
    "pushreg.stores.devices": "kazoo",
    "engagement": "engagement",
    "pushreg.models.engagement": "engagement",
    "pushreg.stores.subscribers": "engagement",
    "places": "places",
    "pushreg.models.places": "places",
    "pushreg.stores.places": "places",
    # `senders` serves all families, and none of them may use what is made for it.
    "senders": "senders",
}

HOMES = {
    # The functions' client, and the operators' ones.
    "boto3": {"pushreg.dynamodb", "pushreg_local.client", "pushreg_ops.aws", "smoke.app", "feed.app"},
    "botocore": {"pushreg.dynamodb", "pushreg.transport", "pushreg_local.client", "pushreg_ops.aws", "smoke.app"},
    "defusedxml": {"pushreg.codecs.xml"},
    "lxml": {"pushreg.codecs.xml"},
    "pyexpat": {"pushreg.codecs.xml"},
    "xml": {"pushreg.codecs.xml"},
    "xmltodict": {"pushreg.codecs.xml"},
    # Where tokens are made and keys are read, and where tokens are verified.
    "jwt": {"pushreg.tokens", "pushreg_local.demo_issuer", "pushreg_ops.jwks"},
}
# Imports that only some requests need, and that cost too much for all.
LAZY_IMPORTS = {("pushreg.tokens", "jwt")}
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb"}
ENVIRONMENT_HOME = "pushreg.config"


@dataclass(frozen=True)
class Module:
    name: str
    source: str
    package: bool = False


def read_modules(*roots: Path) -> list[Module]:
    """Every module of the packages in the roots, each root being a folder on the import path."""
    return [_read(path, root) for root in roots for path in sorted(root.glob("*/**/*.py"))]


def faults(modules: Iterable[Module]) -> list[str]:
    """One line for each breach of the rule, in the order of the modules; empty when it is kept."""
    known = {module.name: module for module in modules}
    imports = {name: list(_imports(module, known)) for name, module in known.items()}
    found = [fault for module in known.values() for fault in _module_faults(module, imports[module.name])]
    graph = {name: {target for _, target in lines if target in known} for name, lines in imports.items()}
    return found + (_cycles(graph) or _cycles(_by_folder(graph, known)))


def _read(path: Path, root: Path) -> Module:
    parts = path.relative_to(root).with_suffix("").parts
    package = parts[-1] == "__init__"
    return Module(".".join(parts[:-1] if package else parts), path.read_text(encoding="utf-8"), package)


def _module_faults(module: Module, imports: list[tuple[int, str]]) -> Iterator[str]:
    if _place(module.name) is None:
        yield f"{module.name} has no place in the order"
        return
    for line, target in imports:
        complaint = _direction(module.name, target) or _family(module.name, target) or _home(module.name, target)
        if complaint:
            yield f"{module.name}:{line} imports {target}, {complaint}"
    tree = ast.parse(module.source)
    for line, names in _hidden_imports(tree):
        if all((module.name, name) in LAZY_IMPORTS for name in names):
            continue
        yield f"{module.name}:{line} imports inside a function"
    # The smoke test is deployed without the layer.
    if not module.name.startswith(("pushreg_ops", "pushreg_local", "smoke")) and module.name != ENVIRONMENT_HOME:
        for line in _environment_reads(tree):
            yield f"{module.name}:{line} reads the environment, which {ENVIRONMENT_HOME} does"


def _imports(module: Module, known: Mapping[str, Module]) -> Iterator[tuple[int, str]]:
    parts = module.name.split(".")
    for node in ast.walk(ast.parse(module.source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = parts[: len(parts) + module.package - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                submodule = f"{base}.{alias.name}"
                yield node.lineno, submodule if submodule in known else base


def _place(name: str) -> tuple[int, str] | None:
    if name in ("pushreg", "pushreg_ops"):
        return -1, name
    unit = _prefix(name, PLACES)
    return None if unit is None else (PLACES[unit], unit)


def _direction(name: str, target: str) -> str | None:
    own, other = _place(name), _place(target)
    if own is None or other is None or own == other or other[0] < own[0]:
        return None
    return "which is beside it" if other[0] == own[0] else "which is above it"


def _family(name: str, target: str) -> str | None:
    own, other = _prefix(name, FAMILIES), _prefix(target, FAMILIES)
    if own is None or other is None or FAMILIES[own] == FAMILIES[other]:
        return None
    return "another family's"


def _home(name: str, target: str) -> str | None:
    library = target.split(".")[0]
    homes = HOMES.get(library, {name})
    return None if name in homes else f"which belongs to {', '.join(sorted(homes))}"


def _hidden_imports(tree: ast.Module) -> Iterator[tuple[int, tuple[str, ...]]]:
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    inner = (node for function in functions for node in ast.walk(function))
    found = set()
    for node in inner:
        if isinstance(node, ast.Import):
            found.add((node.lineno, tuple(alias.name for alias in node.names)))
        elif isinstance(node, ast.ImportFrom):
            found.add((node.lineno, (node.module or "",)))
    yield from sorted(found)


def _environment_reads(tree: ast.Module) -> Iterator[int]:
    nodes = list(ast.walk(tree))
    modules = {name for node in nodes if isinstance(node, ast.Import) for name in _names_of_os(node)}
    for node in nodes:
        match node:
            case ast.ImportFrom(module="os") if ENVIRONMENT.intersection(alias.name for alias in node.names):
                yield node.lineno
            case ast.Attribute(value=ast.Name(id=name)) if name in modules and node.attr in ENVIRONMENT:
                yield node.lineno


def _names_of_os(node: ast.Import) -> set[str]:
    return {alias.asname or alias.name for alias in node.names if alias.name == "os"}


def _by_folder(graph: Mapping[str, set[str]], known: Mapping[str, Module]) -> dict[str, set[str]]:
    """The imports between the folders inside a package; a module outside of any such folder stands for itself."""
    units = {name: _folder(known[name]) for name in graph}
    folders: dict[str, set[str]] = {unit: set() for unit in units.values()}
    for name, targets in graph.items():
        folders[units[name]] |= {units[target] for target in targets} - {units[name]}
    return folders


def _folder(module: Module) -> str:
    folder = module.name if module.package else module.name.rpartition(".")[0]
    return folder if "." in folder else module.name


def _cycles(graph: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [f"{' imports '.join(reversed(error.args[1]))}: a cycle"]
    return []


def _prefix(name: str, table: Mapping[str, object]) -> str | None:
    """The longest entry of the table that is the name or a package above it."""
    return next((entry for entry in sorted(table, key=len, reverse=True) if _within(name, entry)), None)


def _within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")
