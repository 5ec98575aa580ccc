"""Many runs that are compared with each other: conditions x targets x draws x source seeds."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cellda import progress as bars
from cellda.case import Case
from cellda.datasets.base import CellDataset
from cellda.datasets.root import DataRoot
from cellda.errors import CelldaError, ConfigurationError
from cellda.evaluation.predictions import validate
from cellda.presets import CONDITIONS
from cellda.recipe import Recipe
from cellda.store import Store
from cellda.training.loop import Trainer
from cellda.workflow import make_ready, run_case


@dataclass(frozen=True)
class Ablation:
    """Recipes that are run on the same targets and draws.

    Attributes:
        recipes: Condition name -> recipe; draw and seed are set from the fields below.
        targets: Targets, by name or loaded.
        draws: Numbers of the draws.
        seeds: Source seeds.
    """

    recipes: Mapping[str, Recipe]
    targets: Sequence[str | CellDataset]
    draws: Sequence[int] = (0,)
    seeds: Sequence[int] = (0,)

    @classmethod
    def of_paper(
        cls,
        base: Recipe,
        targets: Sequence[str | CellDataset],
        draws: Sequence[int] = (0,),
        seeds: Sequence[int] = (0,),
        conditions: Sequence[str] = tuple(CONDITIONS),
    ) -> "Ablation":
        """The paper's conditions, as edits of `base`.

        Raises:
            UnknownNameError: If a condition is not one of the presets.
        """
        return cls({name: base.with_preset(name) for name in conditions}, targets, draws, seeds)

    def cases(self, data: str | Path | DataRoot | None, store: Store) -> list[tuple[str, Case]]:
        """Every run to be made, by condition, checked before any training.

        Raises:
            ConfigurationError: If runs cannot work, or data are not there; all of them are listed.
        """
        root = data if isinstance(data, DataRoot) else DataRoot(data)
        problems = dict.fromkeys(self._clashes(root))
        cases = []
        for seed, draw, target, (condition, recipe) in itertools.product(
            self.seeds, self.draws, self.targets, self.recipes.items()
        ):
            edited = recipe.with_(seed=seed, few_shot={"draw": draw})
            try:
                cases.append((condition, Case.prepare(edited, target, root, store)))
            except CelldaError as error:
                problems[str(error)] = None
        if problems:
            raise ConfigurationError("\n".join(problems))
        return cases

    def _clashes(self, root: DataRoot) -> list[str]:
        """Targets whose names would fall together in tables, in sentences."""
        names = []
        for target in self.targets:
            try:
                names.append((root.load(target) if isinstance(target, str) else target).full_name)
            except CelldaError:
                continue  # said by the runs themselves
        return [
            f"Two targets are called '{name}', and tables could not tell them apart; name each once."
            for name in sorted({name for name in names if names.count(name) > 1})
        ]

    def run(
        self,
        data: str | Path | DataRoot | None = None,
        *,
        store: Store | str | Path | None = None,
        progress: bool = True,
    ) -> pd.DataFrame:
        """Make every run that is not in the store yet and return all predictions as one table.

        Source models, decoded images and finished runs are shared and found again, so that an interrupted ablation goes on
        where it stopped.

        Args:
            data: Folder that holds one folder per dataset name.
            store: Where results of stages lie.
            progress: Whether to show progress and a time estimate on standard error.

        Raises:
            CelldaError: If a run cannot work; said before any training.
        """
        place = store if isinstance(store, Store) else Store(store)
        cases = self.cases(data, place)
        if not cases:
            raise CelldaError("There is nothing to run: name at least one condition, target, draw and seed.")
        trainer = Trainer(next(iter(self.recipes.values())).device)
        make_ready([case for _, case in cases if case.finished() is None], trainer, progress)
        tables = []
        with bars.display(progress), bars.task("runs", len(cases)) as advance:
            for condition, case in cases:
                result = run_case(case, trainer, keep_model=False)
                tables.append(result.predictions.assign(condition=condition))
                advance(1)
        return validate(pd.concat(tables))
