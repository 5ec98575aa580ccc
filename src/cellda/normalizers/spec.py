"""Which normalizer a recipe uses, with its options."""

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, model_validator

from cellda.normalizers import registry
from cellda.options import checked_options

if TYPE_CHECKING:
    from cellda.normalizers.base import Normalizer


class NormalizerSpec(BaseModel):
    """A normalizer's registered name and its options, all of them with their values.

    Options given are checked against the constructor of the normalizer; those not given take its defaults, so that a
    recipe shows every value.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any) -> Any:
        if isinstance(given, str):
            given = {"name": given}
        if not isinstance(given, dict) or "name" not in given:
            return given
        options = {key: value for key, value in given.items() if key != "name"}
        member = registry.get(str(given["name"]))
        complete = checked_options(member, options, owner=f"normalizer '{given['name']}'")
        member(**complete)  # combinations of options that cannot work are refused here
        return {"name": given["name"], **complete}

    @property
    def options(self) -> dict[str, Any]:
        """The options by name, without `name`."""
        return dict(self.model_extra or {})

    def build(self) -> "Normalizer":
        """A fresh, unfitted module."""
        return registry.get(self.name)(**self.options)
