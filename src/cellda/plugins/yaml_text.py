"""YAML as people write it: the core schema of YAML 1.2, in which every value means what it says, and no key stands twice."""

import re
from collections.abc import Hashable
from typing import Any

import yaml

from cellda.errors import ConfigurationError
from cellda.text import shortened

NESTING = 50
"""Deepest nesting that is read; a recipe needs five."""

_WORDS = {
    "tag:yaml.org,2002:null": (r"~|null|Null|NULL|", ("~", "n", "N", "")),
    "tag:yaml.org,2002:bool": (r"true|True|TRUE|false|False|FALSE", tuple("tTfF")),
    "tag:yaml.org,2002:int": (r"[-+]?[0-9]+", tuple("-+0123456789")),
    "tag:yaml.org,2002:float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        tuple("-+0123456789."),
    ),
}
"""Which plain words are not texts. YAML 1.1, PyYAML's own, takes `010` for 8, `1:30` for 90, `no` for false, and `1e-4` for
a text."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        if self.depth > 2 * NESTING:
            raise yaml.YAMLError(f"it is nested more than {NESTING} deep")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[Any, int] = {}
        for key, _ in node.value:
            name = getattr(key, "value", None)
            if isinstance(name, str):
                if name in lines:
                    raise yaml.YAMLError(
                        f"'{name}' stands twice, in lines {lines[name]} and {key.start_mark.line + 1}; remove one of them"
                    )
                lines[name] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: Any) -> int:
        digits = self.construct_scalar(node)
        if len(digits) > 30:
            raise yaml.YAMLError(f"line {node.start_mark.line + 1} holds a number of {len(digits)} digits")
        return int(digits)


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers: dict[str, Any] = {}


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
for _tag, (_pattern, _first) in _WORDS.items():
    for _side in (_Loader, _Dumper):
        _side.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})$"), _first)


def load(text: str, what: str) -> Any:
    """The value that a YAML text states.

    Args:
        text: The text.
        what: What it is, in messages: "recipe file ours.yaml".

    Raises:
        ConfigurationError: If it is not YAML, a key stands twice in a mapping, or it is nested too deep.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        place = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        reason = " ".join(filter(None, (error.context, error.problem)))
        raise ConfigurationError(f"The {what} is not YAML{place}: {shortened(reason, 300)}.") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(
            f"The {what} cannot be read as YAML: {shortened(str(error), 300)}."
        ) from error


def dump(value: Any) -> str:
    """YAML text from which `load` reads the same value."""
    text = str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True))
    if any(mark in text for mark in "\x85\u2028\u2029"):  # line ends of YAML, which PyYAML writes as they are
        return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False))
    return text
