"""The accounts of a run's data, with what only their decoded images tell: previews in image files, which are passed over."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cellda.data.draw_account import few_labels, shortfall
from cellda.data.few_shot import MOST_BY_DEFAULT
from cellda.data.pixel_cache import cached_framed, cached_previews
from cellda.datasets.reading.account import PREVIEWS, Account
from cellda.datasets.reading.cell_table import cell_names
from cellda.experiment.run import Run
from cellda.framing.account import FramingAccount
from cellda.framing.framed import Framed
from cellda.text import counted


def previews_of(run: Run) -> dict[str, tuple[str, ...]]:
    """Image files of each dataset whose previews are passed over; without datasets that have none."""
    found = {images[0].full_name: tuple(cached_previews(*images)) for images in run.images}
    return {name: files for name, files in found.items() if files}


def accounts_of(run: Run) -> tuple[Account, ...]:
    """What was found, used and left out of the target and of each source."""
    smaller = previews_of(run)
    used = (run.target, *run.sources)
    return tuple(one.account.also(PREVIEWS, smaller.get(one.full_name, ())) for one in used)


def framed_of(run: Run) -> dict[str, Framed]:
    """How the images of each dataset are framed; empty if nothing is cut."""
    cuts = run.recipe.framing.build().cuts
    return {images[0].full_name: cached_framed(*images) for images in run.images if cuts}


def framing_of(run: Run) -> dict[str, FramingAccount]:
    """What is recorded of it."""
    return {name: framed.account(run.recipe.framing) for name, framed in framed_of(run).items()}


def drawn_of(run: Run) -> dict[str, Any]:
    """What is recorded of the draw: fields of a record."""
    draw = run.draw
    return {
        "n": draw.n,
        "taken": draw.taken,
        "support_files": tuple(cell_names(run.target.table, draw.support)),
        "unsupported": draw.unsupported,
        "untested": draw.untested,
    }


def news_of(runs: Iterable[Run]) -> list[str]:
    """What is said of the data of runs once their images are decoded, each line once."""
    said: dict[str, None] = {}
    for run in runs:
        if run.uses_labels:
            said |= dict.fromkeys(f"{run.target.full_name}: {line}." for line in _labels_of(run))
        for dataset, account in framing_of(run).items():
            said |= dict.fromkeys(f"{line}." for line in account.lines(dataset))
        for dataset, files in previews_of(run).items():
            said[f"{dataset}: {counted(len(files), PREVIEWS)} ({files[0]})."] = None
    return list(said)


def own_accounts(run: Run, pool: Account) -> tuple[Account, ...]:
    """The same of a laboratory's own cells: of the labelled ones, if there are any, and of the unlabelled images.

    Args:
        run: A run on own cells (`Run.own`).
        pool: What was found, used and left out when the unlabelled images were listed.
    """
    smaller = cached_previews(*run.images[-1])
    unlabelled = [path for path in smaller if Path(path).is_absolute()]
    pool = pool.also(PREVIEWS, unlabelled)
    if not run.draw.support:
        return (pool,)
    return run.target.account.also(PREVIEWS, [path for path in smaller if path not in unlabelled]), pool


def _labels_of(run: Run) -> list[str]:
    """What is said of the labelled cells of a run: how many are drawn by default, why not more, and which classes have few."""
    draw, lines = run.draw, []
    if draw.taken and run.recipe.few_shot.n is None and not run.target.is_published:
        lines.append(
            f"as no number is given (--n), half of the cells, at most {MOST_BY_DEFAULT}, are labelled: {draw.n}"
        )
    lines += shortfall(draw.taken, draw.n, len(run.scored))
    return lines + few_labels(dict(zip(run.taxonomy.classes, run.offer.support, strict=True)))
