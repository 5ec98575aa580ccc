"""`cellda study`: how far a study is, from any machine that sees its store."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from cellda.cli.options import ShownStore
from cellda.cli.output import Json, Output, say
from cellda.errors import CelldaError
from cellda.runtime.clock import duration
from cellda.text import counted

if TYPE_CHECKING:
    from cellda.experiment.plan import Plan, PlannedRun, Standing
    from cellda.runtime.storage.store import Store

study_app = typer.Typer(
    no_args_is_help=True,
    help="Studies that were begun (ablate, bench, benchmarks): how far they are, and their logs.",
)
Name = Annotated[
    str | None, typer.Argument(help="Name of the study, as `cellda study show` prints it; default: the last.")
]


@study_app.command("show")
def show(name: Name = None, store: ShownStore = None, as_json: Json = False) -> None:
    """Show what of a study is done, running, failed and waiting, and how long it still takes."""
    from cellda.experiment.plan import plan_of, standing
    from cellda.runtime.storage.store import Store

    opened = Store(store)
    plan = plan_of(opened, name)
    _tell(plan, standing(plan, opened), opened, Output(as_json))


@study_app.command("attach")
def attach(name: Name = None, store: ShownStore = None, as_json: Json = False) -> None:
    """Follow a study that goes on at a Dask scheduler (--on tcp://...) after its terminal was closed, until it ends."""
    from cellda.experiment.attached import attach as follow
    from cellda.experiment.plan import plan_of
    from cellda.runtime.storage.store import Store

    opened = Store(store)
    plan = plan_of(opened, name)
    now = follow(plan, opened)
    _tell(plan, now, opened, Output(as_json))
    left = len(now.failed) + len(now.waiting) + len(now.running)
    if left:
        raise CelldaError(
            f"{counted(left, 'run(s) (is|are)')} not made: `cellda study log DIGEST` says why; the command that began the "
            "study tries again."
        )


def _tell(plan: "Plan", now: "Standing", opened: "Store", output: Output) -> None:
    """How far a study is, in words or as JSON."""
    from cellda.experiment.plan import plans

    others = [one.name for one in plans(opened) if one.name != plan.name]
    document = {
        "study": plan.name,
        "begun": plan.begun,
        "ended": plan.ended,
        "by": plan.by,
        "on": plan.on,
        "dashboard": plan.dashboard,
        "done": _plain(now.done),
        "running": _plain(now.running),
        "failed": [{**run.model_dump(), "why": why} for run, why in now.failed.items()],
        "waiting": _plain(now.waiting),
        "seconds_left": now.seconds_left,
        "others": others,
    }
    output.answer(document, _table(now))
    output.say(f"Study {plan.name}, begun by {plan.by} on {plan.on}{_ended(plan.ended, now)}")
    if plan.dashboard and plan.ended is None:
        output.say(f"Dashboard: {plan.dashboard}")
    for run, why in now.failed.items():
        output.say(
            f"failed: {run.condition} on {run.target}, draw {run.draw}, seed {run.seed} ({run.digest}): {why}"
        )
    if others:
        output.say(f"Other studies in this store: {', '.join(others)}")


@study_app.command("log")
def log(
    task: Annotated[str, typer.Argument(help="Digest of a run, or its first digits.")],
    store: ShownStore = None,
) -> None:
    """Print what the tasks of a run have printed on their workers."""
    from cellda.experiment.plan import logs_of
    from cellda.runtime.storage.store import Store

    opened = Store(store)
    for one in logs_of(opened, task):
        say(f"{opened}/{one.name}:")
        for line in (opened.files.read(one.name) or b"").decode(errors="replace").splitlines():
            say(line)


def _plain(runs: "tuple[PlannedRun, ...]") -> list[dict[str, Any]]:
    return [run.model_dump() for run in runs]


def _ended(ended: float | None, now: "Standing") -> str:
    if not (now.running or now.waiting):
        return ": all runs are made." if not now.failed else ": the other runs are made."
    if ended is not None:
        return ", stopped: the same command goes on from here."
    left = "" if now.seconds_left is None else f"; about {duration(now.seconds_left)} left at this speed"
    return f": {counted(len(now.running), 'run(s)')} at work{left}."


def _table(now: "Standing") -> Table:
    table = Table("condition", *("done", "running", "failed", "waiting"), box=None)
    parts = (now.done, now.running, tuple(now.failed), now.waiting)
    conditions = dict.fromkeys(run.condition for part in parts for run in part)
    for condition in sorted(conditions):
        table.add_row(condition, *(str(sum(run.condition == condition for run in part)) for part in parts))
    return table
