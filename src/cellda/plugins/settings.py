"""The base of every settings class: frozen, strict about names, with search ranges declared with the fields."""

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator


class Checked(BaseModel):
    """Fields of numbers take no truth values: pydantic reads `n: true` as 1."""

    @field_validator("*", mode="before")
    @classmethod
    def _number(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[str(info.field_name)].annotation
        kinds = {annotation, *get_args(annotation)}
        if isinstance(value, bool) and kinds & {int, float} and bool not in kinds:
            raise ValueError(f"it is a number, not {str(value).lower()}")
        return value


class Settings(Checked):
    """Immutable settings; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class Range(Settings):
    """The values that a search may try for one field.

    Attributes:
        low: Smallest value.
        high: Largest value, inclusive.
        log: Whether to sample on a logarithmic scale.
        integer: Whether only whole numbers are tried.
        choices: The values to choose from, instead of a range.
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    integer: bool = False
    choices: tuple[Any, ...] | None = None


def tunable(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    log: bool = False,
    choices: tuple[Any, ...] | None = None,
    **constraints: Any,
) -> Any:
    """Declare a field of an adapter that a search may change.

    Args:
        default: The value without a search.
        low: Smallest value tried.
        high: Largest value tried.
        log: Sample on a logarithmic scale.
        choices: Values to choose from, instead of a range.
        constraints: Further arguments of `pydantic.Field` (`gt`, `ge`, `description`, ...).

    Raises:
        ValueError: If neither a range nor choices are given.
    """
    if choices is None and (low is None or high is None):
        raise ValueError("A tunable field needs `low` and `high`, or `choices`.")
    return Field(
        default,
        json_schema_extra={"search": Range(low=low, high=high, log=log, choices=choices).model_dump()},
        **constraints,
    )


def search_space(settings: type[BaseModel]) -> dict[str, Range]:
    """The declared search ranges of a settings class: field name -> range."""
    space = {}
    for name, field in settings.model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and "search" in extra:
            space[name] = Range.model_validate(extra["search"]).model_copy(
                update={"integer": field.annotation is int}
            )
    return space
