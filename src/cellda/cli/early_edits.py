"""Checks of a recipe's fields that need no heavy imports, so that a mistake is reported at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cellda.cli.early import check_known
from cellda.errors import ConfigurationError

if TYPE_CHECKING:
    from cellda.plugins.registry import Registry


def check_edits(edits: Mapping[str, Any]) -> None:
    """Refuse edits of a recipe whose fields, values or plug-ins do not exist.

    Options of plug-ins, and what depends on several fields, are left to the recipe.

    Raises:
        ConfigurationError: With all problems, in the words of the recipe.
    """
    from pydantic import AfterValidator, ValidationError, create_model

    from cellda import adapters, datasets, framing, normalizers
    from cellda.models.spec import Backbone
    from cellda.plugins.options import describe
    from cellda.plugins.settings import Settings
    from cellda.recipe import Recipe
    from cellda.recipe.fields import PresentClasses

    def fields(settings: type[Settings]) -> dict[str, Any]:
        return {name: (field.annotation, field) for name, field in settings.model_fields.items()}

    def names(registry: "Registry[Any]") -> Any:
        def check(value: Any) -> Any:
            for name in _names_in(value):
                check_known(registry, name)
            return value

        return Annotated[Any, AfterValidator(check)], None

    light: Any = {
        **fields(Recipe),
        "backbone": (create_model("Backbone", __base__=Settings, **fields(Backbone)), {}),
        "source_model": (Any, None),  # a path may be relative to a recipe file
        "present": (PresentClasses, None),
        "sources": names(datasets.registry),
        "normalizer": names(normalizers.registry),
        "target_normalizer": names(normalizers.registry),
        "framing": names(framing.registry),
        "adapter": names(adapters.registry),
    }
    try:
        create_model("Edits", __base__=Settings, **light)(**edits)
    except ValidationError as error:
        raise ConfigurationError(describe(error, "the recipe", Recipe.model_fields)) from None


def check_file(file: Path) -> None:
    """Refuse a recipe file whose fields, values or plug-ins do not exist, as `check_edits` does.

    Raises:
        ConfigurationError: If it is not a recipe file, or with all problems.
    """
    from cellda.recipe.files import fields_in

    fields = fields_in(file)
    try:
        check_edits(fields)
    except ConfigurationError as error:
        raise ConfigurationError(f"{file}: {error}") from error


def _names_in(value: Any) -> list[str]:
    """Names of plug-ins in the value of a recipe's field: a name, chained names, a mapping with a name, or a list of these."""
    if isinstance(value, str):
        return value.split("+")
    if isinstance(value, Mapping):
        return [value["name"]] if isinstance(value.get("name"), str) else []
    return [name for one in value for name in _names_in(one)] if isinstance(value, list | tuple) else []
