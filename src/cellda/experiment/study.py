"""Many runs that are compared: conditions x targets x draws x source seeds."""

import itertools
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import pandas as pd

from cellda.cluster.place import Here, Place, place_of
from cellda.data.spec import FewShot
from cellda.datasets.base import CellDataset
from cellda.errors import CelldaError, ConfigurationError, nearest
from cellda.evaluation.predictions import validate
from cellda.experiment.checks import needs_sources
from cellda.experiment.elsewhere import Order, make_elsewhere
from cellda.experiment.leaderboard import BOUNDS
from cellda.experiment.making import make, make_ready
from cellda.experiment.naming import BOUND_NAMES, ORACLE, is_bound
from cellda.experiment.plan import Plan, planned
from cellda.experiment.record import RECORD, RunRecord
from cellda.experiment.run import Run
from cellda.experiment.workspace import Workspace
from cellda.presets import CONDITIONS
from cellda.recipe import Recipe
from cellda.runtime import progress as bars
from cellda.runtime.work import Stage, Work
from cellda.taxonomies.spec import TaxonomySpec
from cellda.text import counted
from cellda.training.loop import Trainer


@dataclass(frozen=True)
class Study:
    """Recipes that are run on the same targets and draws.

    Attributes:
        recipes: Condition name -> recipe; draw and seed are set from the fields below.
        targets: Targets, by name or loaded.
        draws: Numbers of the draws.
        seeds: Source seeds.
        cap: Maximum number of images that an adaptation may pass through the backbone, the same for all conditions except the
            bounds (`cellda.experiment.leaderboard.BOUNDS`); None sets no limit. A search is not counted.
        n: Number of support cells of single targets, by their names as in `targets` (of loaded ones, `full_name`), instead of
            the recipes'; recipes whose support is all cells keep theirs.
        oracle: Whether recipes may choose their values by query labels, as upper bounds; their conditions end in `+oracle`.
        workspace: Where data are found and results are kept; by default no data folder, and the default store.
    """

    recipes: Mapping[str, Recipe]
    targets: Sequence[str | CellDataset]
    draws: Sequence[int] = (0,)
    seeds: Sequence[int] = (0,)
    cap: int | None = None
    n: Mapping[str, int] = field(default_factory=dict)
    oracle: bool = False
    workspace: Workspace = field(default_factory=Workspace)

    @classmethod
    def of_paper(
        cls,
        base: Recipe,
        targets: Sequence[str | CellDataset],
        draws: Sequence[int] = (0,),
        seeds: Sequence[int] = (0,),
        conditions: Sequence[str] = tuple(CONDITIONS),
        workspace: Workspace | None = None,
    ) -> Self:
        """The paper's conditions, as edits of `base`.

        Raises:
            UnknownNameError: If a condition is not one of the presets.
        """
        recipes = {name: base.with_preset(name) for name in conditions}
        return cls(recipes, targets, draws, seeds, workspace=workspace or Workspace())

    def runs(self) -> list[tuple[str, Run]]:
        """All runs of the study with their conditions, checked before any training.

        Raises:
            ConfigurationError: If runs cannot work or exceed the cap, or data are missing; all problems are listed.
        """
        self.workspace.data.refresh(*self.targets)
        with self.workspace.display():
            return self._prepared()

    def _prepared(self) -> list[tuple[str, Run]]:
        problems = dict.fromkeys([*self._absent(), *self._clashes(), *self._unplaced()])
        runs = []
        seeded: dict[tuple[str, int | None, int], Recipe] = {}
        drawn: dict[tuple[str, int | None, int], FewShot] = {}
        for seed, draw, target, (condition, recipe) in itertools.product(
            self.seeds, self.draws, self.targets, self.recipes.items()
        ):
            own = self.n.get(_named(target), recipe.few_shot.n) if recipe.few_shot.kind != "all" else None
            # 100,000 runs share the parts of their recipes, which are checked once.
            if (given := (condition, own, seed)) not in seeded:
                seeded[given] = recipe.with_(seed=seed, few_shot={"n": own})
            if (given := (condition, own, draw)) not in drawn:
                drawn[given] = recipe.with_(few_shot={"draw": draw, "n": own}).few_shot
            edited = seeded[condition, own, seed].model_copy(update={"few_shot": drawn[given]})
            try:
                run = Run.prepare(edited, target, self.workspace, oracle=self.oracle)
                self._admit(condition, run)
                runs.append((condition, run))
            except CelldaError as error:
                problems[str(error)] = None
        kinds = {run.taxonomy.classes: condition for condition, run in runs}
        if len(kinds) > 1:
            told = "; ".join(f"'{condition}': {', '.join(classes)}" for classes, condition in kinds.items())
            problems[
                "All conditions and targets of a study are told apart in the same classes, as their predictions are one "
                f"table, and these are not ({told}); make a study of each."
            ] = None
        if problems:
            raise ConfigurationError("\n".join(problems))
        return runs

    @property
    def _taxonomy(self) -> TaxonomySpec:
        """The classes of the targets: all recipes have the same."""
        return next(iter(self.recipes.values()), Recipe()).taxonomy

    def _absent(self) -> list[str]:
        """Messages about missing sources: a run loads them only after its target, so a missing target would hide them."""
        said = []
        for recipe in filter(needs_sources, self.recipes.values()):
            for source in recipe.sources:
                try:
                    self.workspace.data.load(source.name, recipe.source_taxonomy, **source.options)
                except CelldaError as error:
                    said.append(str(error))
        return said

    def _clashes(self) -> list[str]:
        """Messages about targets that would have the same name in tables."""
        names = []
        for target in self.targets:
            try:
                names.append(self.workspace.load(target, self._taxonomy).full_name)
            except CelldaError:
                continue  # reported by the runs themselves
        return [
            f"Two targets are called '{name}', so tables could not tell them apart; name each once."
            for name in sorted({name for name in names if names.count(name) > 1})
        ]

    def _unplaced(self) -> list[str]:
        """Messages about numbers of support cells for targets that the study has not."""
        names = list(map(_named, self.targets))
        return [
            f"A number of labelled images is given for '{name}', which is not one of the targets; {nearest(name, names)}"
            for name in self.n
            if name not in names
        ]

    def _admit(self, condition: str, run: Run) -> None:
        """Refuse a run above the cap, or whose condition name does not match its use of query labels."""
        passes = run.recipe.adapter.image_passes(run.offer)
        if self.cap is not None and passes > self.cap and condition not in BOUNDS:
            raise ConfigurationError(
                f"'{condition}' passes {counted(passes, 'image(s)')} through the backbone on {run.target.full_name}, "
                f"{passes - self.cap:,} more than the cap of {self.cap:,} for all conditions; give it fewer epochs or images, "
                "or raise the cap."
            )
        if condition in BOUND_NAMES and not is_bound(run.recipe):
            raise ConfigurationError(
                f"'{condition}' is the name of a bound, which tables show apart and do not rank, but its recipe adapts with "
                f"'{run.recipe.adapter.name}' as any other; rename it."
            )
        if run.oracle != condition.endswith(ORACLE):
            raise ConfigurationError(
                f"The name of a condition must end in '{ORACLE}' if, and only if, query labels choose its values: rename "
                f"'{condition}'."
            )

    @property
    def without_groups(self) -> list[str]:
        """Names of the targets without groups, whose images of one patient may be on both sides of a draw."""
        targets = (self.workspace.load(target, self._taxonomy) for target in self.targets)
        return [target.full_name for target in targets if target.account.without_groups]

    def records(self) -> list[RunRecord]:
        """The records of the finished runs, in the order of the runs, each with its name in this study as `condition`."""
        found = ((condition, run.finished()) for condition, run in self.runs())
        return [
            RunRecord.read(path / RECORD).model_copy(update={"condition": name})
            for name, path in found
            if path is not None
        ]

    def run(self, on: str = "local") -> pd.DataFrame:
        """Run everything that is not in the store yet and return all predictions as one table.

        Source models, decoded images and finished runs are shared and reused; an interrupted study resumes where it stopped.

        Args:
            on: Where: `local` (this process), `processes:4`, `tcp://host:8786` (a Dask scheduler), or `slurm:...`
                (`cellda.cluster.place`). Results do not depend on it, if the number of threads is the same.

        Raises:
            CelldaError: If a run cannot work (raised before any training), or if a run failed because its loss was no longer
                finite or an adapter raised an error (raised after all other runs are finished).
        """
        place = place_of(on)
        runs = self.runs()
        if not runs:
            raise CelldaError("There is nothing to run: name at least one condition, target, draw and seed.")
        trainer = Trainer(next(iter(self.recipes.values())).device)
        pending = [(condition, run) for condition, run in runs if not run.is_finished()]
        tables: list[pd.DataFrame] = []
        failed: dict[str, Exception] = {}
        with planned(runs, pending, on, self.workspace.store) as plan:
            if isinstance(place, Here):
                make_ready([run for _, run in pending], trainer)
            elif pending:
                failed = self._elsewhere(pending, place, plan)
            with self.workspace.display(), bars.task(Work(Stage.RUN), len(runs)) as advance:
                for condition, run in runs:
                    if run.digest in failed:
                        continue
                    try:
                        found = make(run, trainer, keep_model=False).predictions
                    except Exception as error:  # a third party's adapter may raise anything
                        failed[run.digest] = error
                        plan.failed[run.digest] = _said(error)
                    else:
                        tables.append(found.assign(condition=condition, bound=condition in BOUND_NAMES))
                    advance(1)
        if failed:
            told = [
                f"{_where(condition, run)}: {_said(failed[run.digest])}"
                for condition, run in runs
                if run.digest in failed
            ]
            raise CelldaError(
                f"{len(told)} of {counted(len(runs), 'run(s)')} failed; without them, the conditions of the table would not "
                "be comparable. The other runs are stored and will be reused; leave these conditions out, or fix them:\n"
                + "\n".join(told)
            ) from next(iter(failed.values()))
        return validate(pd.concat(tables))

    def _elsewhere(
        self, pending: Sequence[tuple[str, Run]], place: Place, plan: Plan
    ) -> dict[str, Exception]:
        """Make runs on other processes or machines; why those failed that did, by their digests."""
        given = {self.workspace.load(target, self._taxonomy).full_name: target for target in self.targets}
        orders = [Order.of(run, given[run.target.full_name], oracle=self.oracle) for _, run in pending]

        def begun(dashboard: str) -> None:
            plan.dashboard = dashboard
            plan.write(self.workspace.store)

        failed = make_elsewhere(orders, [run for _, run in pending], place, begun)
        found = {pending[number][1].digest: error for number, error in failed.items()}
        plan.failed = {run: _said(error) for run, error in found.items()}
        return found


def _named(target: str | CellDataset) -> str:
    return target if isinstance(target, str) else target.full_name


def _where(condition: str, run: Run) -> str:
    shot, seed = run.recipe.few_shot, run.recipe.seed
    return f"'{condition}' on {run.target.full_name}, draw {shot.draw}, seed {seed}"


def _said(error: Exception) -> str:
    """The message of an error; for errors that are not cellda's, also the type and the line that raised it."""
    if isinstance(error, CelldaError):
        return str(error)
    line = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({line.filename}, line {line.lineno})"
