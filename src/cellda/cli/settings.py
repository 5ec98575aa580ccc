"""`--set FIELD=VALUE`: any field of a recipe by its dotted path; the recipe checks and types the value."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cellda.errors import ConfigurationError, nearest
from cellda.text import shortened

if TYPE_CHECKING:
    from cellda.recipe import Recipe


def parse(settings: Sequence[str]) -> list[dict[str, Any]]:
    """The edits of a recipe that `FIELD=VALUE` texts ask for, to be applied in order.

    Fields inside the same field are set together, because they may be valid only together (`backbone.name` and
    `backbone.weights`). A field that is set as a whole is set before fields inside it (`adapter=full`, then
    `adapter.lr=1e-4`).

    >>> parse(["few_shot.n=40", "few_shot.draw=1", "search=null"])
    [{'few_shot': {'n': 40, 'draw': 1}, 'search': None}]
    >>> parse(["adapter=full", "adapter.epochs=3"])
    [{'adapter': 'full'}, {'adapter': {'epochs': 3}}]

    Raises:
        ConfigurationError: If a text has no `=`, no path or no value, or the value is not YAML.
    """
    batches: list[dict[str, Any]] = [{}]
    whole: set[str] = set()
    # Fields that are set whole come first, wherever they stand: they would drop what was set inside them.
    for (field, *inside), value in sorted(map(_read, settings), key=lambda read: len(read[0]) > 1):
        if field in whole or (field in batches[-1] and not inside):
            batches.append({})
            whole = set()
        if inside:
            _place(batches[-1].setdefault(field, {}), inside, value)
        else:
            batches[-1][field] = value
            whole.add(field)
    return batches


def fields(settings: Sequence[str]) -> set[str]:
    """The fields of a recipe that `FIELD=VALUE` texts set, or set something in.

    >>> sorted(fields(["few_shot.n=40", "seed=1"]))
    ['few_shot', 'seed']
    """
    return {field for edits in parse(settings) for field in edits}


def apply(recipe: "Recipe", settings: Sequence[str]) -> "Recipe":
    """The recipe with the settings applied in order.

    Sources and chained adapters are addressed by name: `sources.raabin.degrade=true`, `adapter.full.lr=1e-4`.

    Raises:
        ConfigurationError: If a text cannot be read, or the recipe refuses what it asks for.
    """
    try:
        for edits in parse(settings):
            recipe = recipe.with_(**{field: _in_list(recipe, field, value) for field, value in edits.items()})
    except ConfigurationError as error:
        given = shortened(" ".join(f"--set {text}" for text in settings), 400)
        raise ConfigurationError(f"{given}: {error}") from error
    return recipe


def _read(text: str) -> tuple[list[str], Any]:
    """The parts of the path, and the value as YAML reads it."""
    from cellda.plugins import yaml_text  # PyYAML takes a while to import

    path, equals, value = text.partition("=")
    parts = path.strip().split(".")
    if not equals or not value.strip() or not all(parts):
        raise ConfigurationError(
            f"--set takes FIELD=VALUE, such as few_shot.n=40 or search=null; got '{shortened(text, 200)}'. The "
            "fields are those of a recipe file, joined by dots."
        )
    return parts, yaml_text.load(value, f"value of --set {shortened(text, 200)}")


def _place(edits: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Put a value at its path into nested edits; a later value replaces an earlier one."""
    *above, last = path
    for part in above:
        if not isinstance(edits.get(part), dict):
            edits[part] = {}
        edits = edits[part]
    edits[last] = value


def _in_list(recipe: "Recipe", field: str, edits: Any) -> Any:
    """The whole list with its members edited, where the recipe's field holds one and the edits go into it."""
    members = recipe.model_dump(mode="json").get(field)
    if not (isinstance(members, list) and isinstance(edits, Mapping)) or "name" in edits:
        return edits
    names = [member["name"] for member in members]
    for name in edits:
        if name not in names:
            raise ConfigurationError(
                f"'{field}' is a list ({', '.join(names)}), and its fields are set as in {field}.{names[0]}.FIELD=VALUE; "
                f"'{name}' is not in it: {nearest(name, names)}"
            )
    if field == "adapter":
        steps = {step.name: step for step in recipe.adapter.parts()}
        edits = {
            name: steps[name].implied(value) if isinstance(value, Mapping) else value
            for name, value in edits.items()
        }
    return [_merged(member, edits.get(member["name"], {})) for member in members]


def _merged(current: Any, edits: Any) -> Any:
    """Mappings with what is edited in them; any other value is replaced."""
    if not (isinstance(current, Mapping) and isinstance(edits, Mapping)):
        return edits
    return {**current, **{name: _merged(current.get(name), value) for name, value in edits.items()}}
