"""What is told of each predicted image in addition to its class: how sure, what else, and whether a person must look."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cellda.errors import ConfigurationError
from cellda.evaluation.abstention import by_confidence
from cellda.evaluation.conformal import COVERAGE, Sets
from cellda.evaluation.predictions import classes_of, probabilities
from cellda.models.evidence import Evidence
from cellda.models.judged import Flag


@dataclass(frozen=True)
class Terms:
    """What a person asks for.

    Attributes:
        coverage: Share of the cells whose set of classes must hold the true one, in (0, 1).
        error: Share of the decided cells that may be wrong, in (0, 1); None decides all.
    """

    coverage: float = COVERAGE
    error: float | None = None

    def check(self, evidence: Evidence | None, *, calibrated: bool) -> None:
        """Refuse what a model cannot promise.

        Args:
            evidence: What is known of the model.
            calibrated: Whether its probabilities are calibrated.

        Raises:
            ConfigurationError: If an error rate is asked for, and it was never measured, or is not calibrated.
        """
        if self.error is not None and (evidence is None or not calibrated):
            raise ConfigurationError(
                "An error rate cannot be promised (--abstain): this model was never measured on labelled cells, or its "
                "probabilities are not calibrated. Adapt it to labelled cells with the preset 'best', which does both."
            )


USUAL = Terms()


def told(table: pd.DataFrame, evidence: Evidence | None, terms: Terms) -> pd.DataFrame:
    """A table of predictions with what is told of each image.

    Args:
        table: Columns `predicted`, `flag` and the probabilities, which are empty for images that cannot be read.
        evidence: What is known of the model; None if nothing is.
        terms: What is asked for.

    Returns:
        The table with `confidence`, the probability of the most probable class; `set`, the classes that may be the true one,
            joined by `+`, the most probable first (empty without evidence); and the flag `doubtful` on cells that are left for
            a person, if an error rate is asked for.
    """
    found, read = probabilities(table), table[f"p_{classes_of(table)[0]}"].notna().to_numpy(dtype=bool)
    sure = np.full(len(table), np.nan, dtype=np.float32)
    sets = np.full(len(table), "", dtype=object)
    if read.any():
        sure[read] = found[read].max(1)
        if evidence is not None:
            sets[read] = Sets.fitted(evidence.cells, terms.coverage).names(found[read])
    flags = table["flag"]
    judged = read & table["predicted"].notna().to_numpy(dtype=bool)
    if terms.error is not None and judged.any():
        left = judged.copy()
        left[judged] = ~by_confidence(found[judged], terms.error)
        flags = flags.where(~left, flags.map(lambda flag: f"{flag}+{Flag.DOUBTFUL}".removeprefix("+")))
    return table.assign(confidence=sure, set=sets, flag=flags)


def most_doubtful(table: pd.DataFrame, number: int) -> pd.DataFrame:
    """The rows of a table of predictions that a person should look at first: those with a class and the least confidence."""
    cells = table[table["predicted"].notna().to_numpy(dtype=bool)]
    return cells.sort_values("confidence", kind="stable").head(number)
