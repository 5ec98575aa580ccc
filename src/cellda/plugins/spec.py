"""How a recipe names a plug-in: its registered name and the values of all its options."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from cellda.errors import ConfigurationError
from cellda.plugins.code_digest import member_code
from cellda.plugins.options import checked_options, describe
from cellda.plugins.registry import Registry


class PluginSpec(BaseModel):
    """A registered name and the options of that plug-in.

    Given options are checked against the constructor of the plug-in; the others take its defaults, so that a recipe
    shows every value.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    registry: ClassVar[Registry[Any]]

    name: str

    @classmethod
    def of(cls, given: "str | Mapping[str, Any] | Self") -> Self:
        """The plug-in that a user named: by its name, or with options.

        Raises:
            ConfigurationError: If there is none of this name, or options are unknown or cannot work.
        """
        if isinstance(given, cls):
            return given
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise ConfigurationError(describe(error, f"the {cls.registry.kind}", cls.model_fields)) from None

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any) -> Any:
        if isinstance(given, str):
            given = {"name": given}
        if not isinstance(given, dict) or "name" not in given:
            return given
        options = {key: value for key, value in given.items() if key != "name"}
        member = cls.registry.get(str(given["name"]))
        complete = checked_options(member, options, owner=f"{cls.registry.kind} '{given['name']}'")
        member(**complete)  # refuses combinations of options that cannot work
        return {"name": given["name"], **complete}

    @property
    def options(self) -> dict[str, Any]:
        """The options by name, without `name`."""
        return dict(self.model_extra or {})

    @property
    def code(self) -> str:
        """Digest of the plug-in's code."""
        member: type = self.registry.get(self.name)
        return member_code(member)
