"""Settings of the hyper-parameter search."""

from typing import TYPE_CHECKING, Self

from pydantic import Field, field_validator, model_validator

from cellda.errors import ConfigurationError
from cellda.plugins.code_digest import member_code
from cellda.plugins.settings import Settings
from cellda.selection.selectors import registry

if TYPE_CHECKING:
    from cellda.selection.selectors.base import Use


BATCH = 4


class Search(Settings):
    """Hyper-parameter search over the ranges that an adapter declares (the paper's Optuna step).

    Attributes:
        trials: Number of trials; the first one uses the adapter's own values.
        folds: Number of folds of the cross-validation inside the support set (`support_cv`).
        selector: The selector that chooses the values, a member of `cellda.selection.selectors`. `"support_cv"`: balanced
            accuracy by cross-validation inside the support set (the paper's). `"fixed"`: no search; the adapter's own values.
            `"source_val"`: accuracy on the held-out source cells after adaptation. On the unlabelled pool: `"entropy"`
            (confident predictions), `"info_max"` (confident and varied ones), `"snd"` (dense neighbourhoods). `"oracle"`:
            balanced accuracy on the query labels, an upper bound for studies with `Study(oracle=True)`; every other run
            refuses it.
        batch: Number of trials whose values are proposed at once, and which can be made at the same time: from the trials of
            the batches before, against which they also race. It decides which values are tried; how many processes make the
            trials does not. 1 proposes every trial from all before it.
        asynchronous: Whether every process proposes a trial when it is free, from those that are finished then, instead of
            waiting for the end of a batch (`batch` means nothing). Several processes then choose values that depend on
            timing: a repetition may choose others. The trials are kept in the PostgreSQL database that the environment
            variable `CELLDA_SEARCH_STORAGE` names, or else in a file in the store.
    """

    trials: int = Field(default=20, ge=1)
    folds: int = Field(default=3, ge=2)
    selector: str = "support_cv"
    batch: int = Field(default=BATCH, ge=1)
    asynchronous: bool = False

    @field_validator("selector")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in registry:
            raise registry.unknown(name)
        return name

    @model_validator(mode="after")
    def _one_order(self) -> Self:
        """Batches and an asynchronous search exclude each other."""
        if self.asynchronous and self.batch != BATCH:
            raise ConfigurationError(
                f"An asynchronous search has no batches: leave out batch={self.batch}, or asynchronous=true."
            )
        return self

    @property
    def uses(self) -> "frozenset[Use]":
        """The evidence that the selector uses."""
        return registry.get(self.selector).uses

    @property
    def code(self) -> str:
        """Digest of the selector's code."""
        return member_code(registry.get(self.selector))
