"""CloudFormation's YAML: expands short tags and evaluates intrinsic functions for a local run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from pushreg_local.errors import TemplateError

REGION = "us-east-1"
ACCOUNT_ID = "123456789012"

_PSEUDO_PARAMETERS = {
    "AWS::AccountId": ACCOUNT_ID,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": "pushreg-local",
    "AWS::URLSuffix": "amazonaws.com",
}
_ABSENT = object()
_VARIABLE = re.compile(r"\$\{([^!}][^}]*)\}")


# libyaml, where PyYAML has it, is ten times as fast.
SAFE_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Loader: Any = type("_Loader", (SAFE_LOADER,), {})


def _construct_tag(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        raise TemplateError(f"the tag !{suffix} has no value")
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _construct_tag)


def parse(text: str) -> dict[str, Any]:
    """Return the document with short tags in their long forms and its loops over resources written out.

    TemplateError if it is not a mapping in YAML.
    """
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 A SafeLoader that knows CloudFormation's tags.
    except yaml.YAMLError as error:
        raise TemplateError(f"the template is not YAML: {error}") from error
    if not isinstance(document, dict):
        raise TemplateError("the template is not a mapping")
    resources = document.get("Resources")
    return {**document, "Resources": _expand_loops(resources)} if isinstance(resources, dict) else document


def _expand_loops(resources: Mapping[str, Any]) -> dict[str, Any]:
    """Return the resources with those that each Fn::ForEach makes in its place, as AWS::LanguageExtensions does."""
    expanded: dict[str, Any] = {}
    for name, resource in resources.items():
        if not name.startswith("Fn::ForEach::"):
            expanded[name] = resource
            continue
        match resource:
            case [str() as variable, list() as values, dict() as body]:
                for value in values:
                    expanded |= _fill_in(body, variable, value)
            case _:
                raise TemplateError(f"{name} is not understood by the local stack: its values have to be listed in it")
    return expanded


def _fill_in(part: Any, variable: str, value: str) -> Any:
    if isinstance(part, str):
        return part.replace(f"${{{variable}}}", value)
    if isinstance(part, list):
        return [_fill_in(each, variable, value) for each in part]
    if not isinstance(part, dict):
        return part
    if part == {"Ref": variable}:
        return value
    filled = {_fill_in(name, variable, value): _fill_in(each, variable, value) for name, each in part.items()}
    match filled:
        case {"Fn::Sub": str() as text} if "${" not in text:
            # Ref takes a name, which AWS::LanguageExtensions lets a Fn::Sub make.
            return text
    return filled


class Resolver:
    """Evaluates the intrinsic functions of one document; values known only after deployment get stable placeholders."""

    def __init__(self, document: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
        declared = document.get("Parameters", {})
        unknown = set(parameters) - set(declared)
        if unknown:
            raise TemplateError(f"the template has no parameter {', '.join(sorted(unknown))}")
        self._parameters = {
            name: _read_parameter(properties, parameters.get(name)) for name, properties in declared.items()
        }
        self._resources: Mapping[str, Any] = document.get("Resources", {})
        self._conditions: Mapping[str, Any] = document.get("Conditions", {})
        self._mappings: Mapping[str, Any] = document.get("Mappings", {})

    def resolve(self, value: Any) -> Any:
        """Return the value with all functions evaluated; TemplateError for an unsupported one."""
        resolved = self._resolve(value)
        return None if resolved is _ABSENT else resolved

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            items = [self._resolve(item) for item in value]
            return [item for item in items if item is not _ABSENT]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Ref":
                return self._refer(argument)
            if name == "Condition":
                return self.holds(argument)
            if isinstance(name, str) and name.startswith("Fn::"):
                return self._call(name, argument)
        members = {name: self._resolve(member) for name, member in value.items()}
        return {name: member for name, member in members.items() if member is not _ABSENT}

    def holds(self, condition: str | None) -> bool:
        """Return whether the named condition holds; True without a name."""
        if condition is None:
            return True
        if condition not in self._conditions:
            raise TemplateError(f"the template has no condition {condition}")
        return bool(self._resolve(self._conditions[condition]))

    def _refer(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _ABSENT
        if name in _PSEUDO_PARAMETERS:
            return _PSEUDO_PARAMETERS[name]
        if name in self._parameters:
            value = self._parameters[name]
            if value is None:
                raise TemplateError(f"the parameter {name} has no default")
            return value
        if name in self._resources:
            properties = self._resources[name].get("Properties", {})
            # Ref of a table is its name; without a TableName, use the logical id like `sam local`.
            return self._resolve(properties.get("TableName", name))
        # SAM generates resources named after the declared ones: KazooFunction -> KazooFunctionRole.
        if any(name.startswith(resource) for resource in self._resources):
            return name
        raise TemplateError(f"!Ref {name}: no such parameter or resource")

    def _call(self, name: str, argument: Any) -> Any:
        match name, argument:
            case "Fn::Sub", str():
                return self._substitute(argument, {})
            case "Fn::Sub", [str() as text, dict() as extra]:
                return self._substitute(text, {key: self._resolve(value) for key, value in extra.items()})
            case "Fn::GetAtt", [str() as resource, str() as attribute]:
                return f"arn:aws:local:{REGION}:{ACCOUNT_ID}:{self._refer(resource)}.{attribute}"
            case "Fn::If", [str() as condition, first, second]:
                return self._resolve(first if self.holds(condition) else second)
            case "Fn::Equals", [first, second]:
                return to_text(self._resolve(first)) == to_text(self._resolve(second))
            case "Fn::Not", [operand]:
                return not self._resolve(operand)
            case "Fn::And", list():
                return all(self._resolve(operand) for operand in argument)
            case "Fn::Or", list():
                return any(self._resolve(operand) for operand in argument)
            case "Fn::Join", [str() as separator, parts]:
                return separator.join(to_text(part) for part in self._resolve(parts))
            case "Fn::Split", [str() as separator, text]:
                return to_text(self._resolve(text)).split(separator)
            case "Fn::Select", [index, items]:
                return self._resolve(items)[int(self._resolve(index))]
            case "Fn::FindInMap", [str() as mapping, first, second]:
                return self._mappings[mapping][to_text(self._resolve(first))][to_text(self._resolve(second))]
        raise TemplateError(f"{name} is not supported by the local stack: {argument!r}")

    def _substitute(self, text: str, extra: Mapping[str, Any]) -> str:
        def replace(match: re.Match[str]) -> str:
            name = match[1].strip()
            if name in extra:
                return to_text(extra[name])
            resource, dot, attribute = name.partition(".")
            if dot:
                return to_text(self._call("Fn::GetAtt", [resource, attribute]))
            return to_text(self._refer(name))

        return _VARIABLE.sub(replace, text).replace("${!", "${")


def _read_parameter(properties: Mapping[str, Any], given: str | None) -> Any:
    value = properties.get("Default") if given is None else given
    if value is not None and properties.get("Type") == "CommaDelimitedList":
        return [part.strip() for part in str(value).split(",")]
    return value


def to_text(value: Any) -> str:
    """Return the scalar as CloudFormation writes it into a string."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
