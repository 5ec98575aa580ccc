"""The accounts of a run's data, with what only their decoded images tell: previews in image files, which are passed over."""

from pathlib import Path

from cellda.data.pixel_cache import cached_framed, cached_previews
from cellda.datasets.reading.account import PREVIEWS, Account
from cellda.experiment.run import Run
from cellda.framing.account import FramingAccount
from cellda.framing.framed import Framed


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
