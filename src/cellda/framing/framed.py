"""How the images of one dataset are framed."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from cellda.framing.account import FramingAccount
from cellda.framing.base import SURE, UNSURE
from cellda.framing.spec import FramingSpec


@dataclass(frozen=True, eq=False)
class Framed:
    """How the images of one dataset are framed.

    Attributes:
        framing: The framing with what it learned from them.
        confidence: `(N,)`, how sure it is of each, in [0, 1] (`Framing.judged`).
    """

    framing: FramingSpec
    confidence: Float[Tensor, " n"]

    def account(self, recipe: FramingSpec) -> FramingAccount:
        """What is recorded of it.

        Args:
            recipe: The framing before it learned anything.
        """
        missed, sure = self.confidence < UNSURE, self.confidence >= SURE
        return FramingAccount(
            framing=self.framing.model_dump(mode="json"),
            missed=int(missed.sum()),
            unusual=int((~missed & ~sure).sum()),
            news=self.framing.build().news(recipe.build()),
        )
