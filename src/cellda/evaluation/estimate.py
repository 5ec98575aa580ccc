"""A value with its interval, and the measures of one class."""

import math

from pydantic import BaseModel, ConfigDict


class Measured(BaseModel):
    """Base of what is measured: frozen, and complete."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Estimate(Measured):
    """A value in [0, 1] and its 95 % interval; the ends are NaN if there is only one group, the value if nothing counts."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "n/a"
        if math.isnan(self.low):
            return f"{self.value:.2f} [n/a]"
        # One space only: a narrow terminal breaks the line there and nowhere else.
        return f"{self.value:.2f} [{self.low:.2f}–{self.high:.2f}]"


class ClassMetrics(Measured):
    """Measures of one class against all others; `support` is its number of query cells."""

    precision: Estimate
    recall: Estimate
    f1: Estimate
    support: int
