"""Recipe files: their fields as plain data, and the paths in them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from cellda import adapters
from cellda.datasets.reading.text import read_text
from cellda.datasets.spec import anchored_source
from cellda.errors import ConfigurationError, DataError
from cellda.plugins import yaml_text
from cellda.plugins.paths import anchored, each, options_of
from cellda.runtime.given import path_of
from cellda.source_models.spec import anchored as anchored_model


def placed(given: Mapping[str, Any], known: Mapping[str, FieldInfo], folder: Path) -> dict[str, Any]:
    """Fields of a recipe as plain data, with their relative paths taken from a folder.

    Args:
        given: Names and values of fields, not yet checked.
        known: What is declared of the fields.
        folder: What relative paths are relative to.
    """
    placed = anchored(given, known, folder)
    if "source_model" in placed:
        placed["source_model"] = anchored_model(placed["source_model"], folder)
    if "sources" in placed:
        placed["sources"] = each(placed["sources"], lambda source: anchored_source(source, folder))
    if "adapter" in placed:
        placed["adapter"] = each(placed["adapter"], lambda step: _step(step, folder))
    return placed


def _step(given: Mapping[str, Any], folder: Path) -> Any:
    known = given["name"] in adapters.registry
    return anchored(given, options_of(adapters.get(given["name"])), folder) if known else given


def fields_in(text: str | Path) -> dict[str, Any]:
    """The fields of a recipe in YAML text, or in a file given as a `Path`; their values are not checked.

    Raises:
        ConfigurationError: If it cannot be read, or is not a YAML mapping.
    """
    where = f"recipe file {text}" if isinstance(text, Path) else "recipe"
    try:
        content = yaml_text.load(read_text(path_of(text))[0] if isinstance(text, Path) else text, where)
    except DataError as error:
        raise ConfigurationError(f"The recipe cannot be opened. {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(
            f"The {where} does not hold a mapping of recipe fields to values, such as Recipe().to_yaml() writes"
            + ("." if isinstance(text, Path) else "; a file is read with Recipe.from_yaml(Path(...)).")
        )
    return {str(name): value for name, value in content.items()}
