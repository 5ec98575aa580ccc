"""What Optuna proposes: the values of a trial, from the ranges that an adapter declares and the trials before it."""

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import TPESampler

from cellda.adapters.base import Adapter
from cellda.plugins.settings import Range

optuna.logging.set_verbosity(optuna.logging.WARNING)


def distributions_of(adapter: Adapter) -> dict[str, BaseDistribution]:
    """The ranges to search; if the adapter's own values are outside a declared range, they widen it."""
    own = adapter.searched()
    return {name: _distribution(allowed, own[name]) for name, allowed in adapter.search_space().items()}


def sampler(seed: int, trials: int, *, liar: bool = False) -> TPESampler:
    """Optuna's sampler with every argument stated that is not deprecated, whatever a release makes its defaults.

    Args:
        seed: Of one trial, so that a resumed search continues exactly like an uninterrupted one.
        trials: Number of trials of the search; up to half of them, at most 10, are random.
        liar: Whether trials that are at work push the next ones away, as if they were bad (`constant_liar`).
    """
    return TPESampler(
        seed=seed,
        n_startup_trials=min(10, trials // 2),
        n_ei_candidates=24,
        multivariate=True,
        group=False,
        constant_liar=liar,
    )


def suggested(trial: optuna.Trial, distributions: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """The values that Optuna suggests for a trial."""
    return {name: _suggest(trial, name, distribution) for name, distribution in distributions.items()}


def _distribution(allowed: Range, own: Any) -> BaseDistribution:
    if allowed.choices is not None:
        return CategoricalDistribution(tuple(dict.fromkeys((*allowed.choices, own))))
    # `tunable` refuses anything else.
    assert allowed.low is not None
    assert allowed.high is not None
    low, high = min(allowed.low, own), max(allowed.high, own)
    if allowed.integer:
        return IntDistribution(int(low), int(high), log=allowed.log)
    return FloatDistribution(low, high, log=allowed.log)


def _suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    match distribution:
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
        case IntDistribution(low=low, high=high, log=log):
            return trial.suggest_int(name, low, high, log=log)
        case FloatDistribution(low=low, high=high, log=log):
            return trial.suggest_float(name, low, high, log=log)
    raise TypeError(distribution)  # `_distribution` makes no other
