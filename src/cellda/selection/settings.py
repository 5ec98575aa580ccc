"""How the hyper-parameters of an adapter are searched."""

from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from cellda.plugins.code_digest import member_code
from cellda.plugins.settings import Settings
from cellda.selection.selectors import registry

if TYPE_CHECKING:
    from cellda.selection.selectors.base import Use


class Search(Settings):
    """Hyper-parameter search over the ranges that an adapter declares (the paper's Optuna step).

    Attributes:
        trials: Budget; the first trial is the adapter's declared defaults.
        folds: Folds of the cross-validation inside the support set (`support_cv`).
        selector: What the values are chosen by, a member of `cellda.selection.selectors`. `"support_cv"`: balanced accuracy
            by cross-validation inside the support set (the paper's). `"fixed"`: nothing; the adapter's own values.
            `"source_val"`: accuracy on the held-out source cells after adaptation. On the unlabelled pool: `"entropy"`
            (certain predictions), `"info_max"` (certain and varied ones), `"snd"` (dense neighbourhoods). `"oracle"`:
            balanced accuracy on the query labels, an upper bound for studies that ask for it by `Study(oracle=True)`;
            every other run refuses it.
    """

    trials: int = Field(default=20, ge=1)
    folds: int = Field(default=3, ge=2)
    selector: str = "support_cv"

    @field_validator("selector")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in registry:
            raise registry.unknown(name)
        return name

    @property
    def uses(self) -> "frozenset[Use]":
        """The evidence that the selector judges by."""
        return registry.get(self.selector).uses

    @property
    def code(self) -> str:
        """Digest of the selector's code."""
        return member_code(registry.get(self.selector))
