"""`cellda store`: what takes the room, and its removal."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cellda.cli.options import ShownStore
from cellda.cli.output import Json, Output, say
from cellda.errors import ConfigurationError
from cellda.runtime.given import url_of
from cellda.runtime.place import check_writable
from cellda.text import counted

if TYPE_CHECKING:
    from cellda.runtime.storage.entry_state import Entry
    from cellda.runtime.storage.store import Store

store_app = typer.Typer(
    no_args_is_help=False,
    help="The store of results: show what takes the room, and clear what is not wanted.",
)

_UNITS = {"h": 1 / 24, "d": 1.0, "w": 7.0}
Older = Annotated[
    str | None, typer.Option(help="Only what was not changed for this long: 12h, 30d or 8w.", metavar="TIME")
]
Kinds = Annotated[
    list[str],
    typer.Option("--kind", help="Only this kind (pixels, source, search, runs, ...); may be repeated."),
]


@store_app.callback(invoke_without_command=True)
def store(
    context: typer.Context,
    place: ShownStore = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read every file, and name the results that are damaged.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what takes the room in the store, by kind: usable, orphaned, partial and damaged results."""
    if context.invoked_subcommand is not None:
        if verify:
            raise ConfigurationError(
                "--verify only shows what is damaged; `cellda store clear --damaged` reads every file by itself."
            )
        if as_json:
            raise ConfigurationError("--json comes after the command: cellda store clear --json.")
        context.obj = place
        return
    from cellda.runtime.room import in_words
    from cellda.runtime.storage.entry_state import State
    from cellda.runtime.storage.inventory import remembered

    opened, found = _entries(place, verify=verify)
    root, hashes, output = str(opened), remembered(opened), Output(as_json)
    if hashes:
        output.say(
            f"{hashes[0].name}: {in_words(_size(hashes))} of hashes, by which images that did not change are not read again "
            "(`cellda store clear --hashes` removes them)"
        )
    if opened.remote is not None:
        output.say(
            f"What this machine uses of it is copied to {opened.root} (`cellda store --store {opened.root}`)."
        )
    damaged = {str(entry.place): entry.why for entry in found if entry.state is State.DAMAGED}
    orphaned = list(dict.fromkeys(entry.why for entry in found if entry.state is State.ORPHANED))
    document = {"store": root, "hash_bytes": _size(hashes), "results": _sums(found)}
    tables = [_table(found)] if found else []
    output.answer({**document, "damaged": damaged, "orphaned": orphaned}, *tables)
    if not found:
        output.say(f"There are no results in {root}.")
        return
    for entry, why in damaged.items():
        output.say(f"damaged: {entry} ({why})")
    for why in orphaned:
        output.say(f"orphaned, not used any more: {why}")
    output.say(
        f"{counted(len(found), 'result(s)')}, {in_words(sum(entry.size for entry in found))} in {root}"
    )


@store_app.command("clear")
def clear(
    context: typer.Context,
    place: ShownStore = None,
    older: Older = None,
    kind: Kinds = [],
    orphaned: Annotated[
        bool, typer.Option("--orphaned", help="Only what another version of cellda or a library made.")
    ] = False,
    partial: Annotated[bool, typer.Option("--partial", help="Only unfinished results.")] = False,
    damaged: Annotated[bool, typer.Option("--damaged", help="Only damaged results.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="All results.")] = False,
    hashes: Annotated[
        bool,
        typer.Option("--hashes", help="The hashes of images (contents.sqlite), which are then read again."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Remove stored results: those of an age, a kind, a state, or all. What a process works on stays."""
    days = None if older is None else _days(older)
    asked_for = {
        "--older": older,
        "--kind": kind,
        "--orphaned": orphaned,
        "--partial": partial,
        "--damaged": damaged,
        "--all": everything,
        "--hashes": hashes,
    }
    _check_clear([name for name, asked in asked_for.items() if asked])
    if place and context.obj and place != context.obj:
        raise ConfigurationError(f"--store is given twice ({context.obj} and {place}); give one.")
    from cellda.runtime.room import in_words
    from cellda.runtime.storage.entry_state import State
    from cellda.runtime.storage.inventory import remove

    chosen_place = place or context.obj
    if chosen_place and not dry_run and url_of(chosen_place) is None:
        check_writable(chosen_place, folder=True, what="--store")
    if as_json and not (yes or dry_run):
        raise ConfigurationError("--json does not ask: add --yes, or --dry-run to see what would be removed.")
    output = Output(as_json)
    states = {State.ORPHANED: orphaned, State.PARTIAL: partial, State.DAMAGED: damaged}
    wanted = {state for state, asked in states.items() if asked} or set(State)
    if hashes:
        _clear_hashes(place or context.obj, output, dry_run=dry_run, yes=yes)
        return
    opened, found = _entries(place or context.obj, verify=damaged)
    root = str(opened)
    known = sorted({entry.kind for entry in found})
    if unknown := [name for name in kind if found and name not in known]:
        raise ConfigurationError(
            f"No results of kind '{unknown[0]}' are in {root}; there are: {', '.join(known)}."
        )
    chosen = [
        entry
        for entry in found
        if entry.state in wanted and (not kind or entry.kind in kind) and (days is None or entry.age >= days)
    ]
    removed: dict[str, Any] = {"store": root, "dry_run": dry_run, "removed": _sums(chosen), "kept": 0}
    if not chosen:
        output.answer(removed)
        output.say(f"No result in {root} matches.")
        return
    output.show(_table(chosen))
    size = in_words(sum(entry.size for entry in chosen))
    if dry_run:
        output.answer(removed)
        output.say(f"{counted(len(chosen), 'result(s)')} ({size}) would be removed from {root}.")
        return
    _ask(f"{counted(len(chosen), 'result(s)')} ({size}) from {root}", yes=yes)
    gone = [entry for entry in chosen if remove(opened, entry)]
    output.answer(removed | {"removed": _sums(gone), "kept": len(chosen) - len(gone)})
    output.say(
        f"Removed {counted(len(gone), 'result(s)')} ({in_words(sum(entry.size for entry in gone))}) from {root}."
    )
    if len(gone) < len(chosen):
        output.say(
            f"{counted(len(chosen) - len(gone), 'result(s) (stays|stay)')}, because a process works there."
        )


def _check_clear(asked: list[str]) -> None:
    """Refuse options of `clear` that do not say what to remove, or could mean two things.

    Raises:
        ConfigurationError: If so.
    """
    if not asked:
        raise ConfigurationError(
            "Say what to remove: --older 30d, --kind pixels, --orphaned, --partial, --damaged, --all, or --hashes."
        )
    alone = next((name for name in ("--all", "--hashes") if name in asked), None)
    if alone is not None and len(asked) > 1:
        others = ", ".join(name for name in asked if name != alone)
        raise ConfigurationError(
            f"{alone} stands alone, and {others} would narrow it: leave out one or the other."
        )


def _clear_hashes(place: str | None, output: Output, *, dry_run: bool, yes: bool) -> None:
    from cellda.runtime.room import in_words
    from cellda.runtime.storage.inventory import remembered
    from cellda.runtime.storage.store import Store

    opened = Store(place)
    files = remembered(opened)
    total = _size(files)
    size = in_words(total)
    if files and not dry_run:
        _ask(f"the hashes of images ({size}) from {opened.root}", yes=yes)
        for file in files:
            file.unlink(missing_ok=True)
    output.answer({"store": opened.root, "dry_run": dry_run, "hash_bytes": total})
    if not files:
        output.say(f"There are no hashes of images in {opened.root}.")
    elif dry_run:
        output.say(f"The hashes of images ({size}) would be removed from {opened.root}.")
    else:
        output.say(f"Removed the hashes of images ({size}) from {opened.root}.")


def _ask(what: str, *, yes: bool) -> None:
    """Ask before something is removed; without agreement, the command ends."""
    if not yes and not typer.confirm(f"Remove {what}?"):
        say("Nothing was removed.")
        raise typer.Exit(1)


def _size(files: list[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def _entries(place: str | None, *, verify: bool = False) -> "tuple[Store, list[Entry]]":
    from cellda.experiment.orphans import orphaned
    from cellda.runtime import progress
    from cellda.runtime.storage.inventory import entries
    from cellda.runtime.storage.store import Store

    opened = Store(place)
    with progress.display():
        return opened, entries(opened, orphaned, verify=verify)


def _days(text: str) -> float:
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([hdw])", text)
    if found is None:
        raise ConfigurationError(
            f"--older '{text}' is not a time; write hours, days or weeks, as in 12h, 30d or 8w."
        )
    return float(found[1]) * _UNITS[found[2]]


def _sums(found: "list[Entry]") -> list[dict[str, Any]]:
    """One mapping per kind and state: number, bytes, and days since the first and the last change; the largest first."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in found:
        groups.setdefault((entry.kind, entry.state.value), []).append(entry)
    sums = [
        {
            "kind": kind,
            "state": state,
            "results": len(group),
            "bytes": sum(entry.size for entry in group),
            "oldest_days": max(entry.age for entry in group),
            "newest_days": min(entry.age for entry in group),
        }
        for (kind, state), group in groups.items()
    ]
    return sorted(sums, key=lambda one: -one["bytes"])


def _table(found: "list[Entry]") -> Table:
    """One row per kind and state, the largest first."""
    from cellda.runtime.room import in_words

    table = Table(box=None, header_style="bold")
    for name in ("kind", "state"):
        table.add_column(name)
    for name in ("results", "size", "oldest", "newest"):
        table.add_column(name, justify="right")
    for one in _sums(found):
        ages = _ago(one["oldest_days"]), _ago(one["newest_days"])
        table.add_row(escape(one["kind"]), one["state"], str(one["results"]), in_words(one["bytes"]), *ages)
    return table


def _ago(days: float) -> str:
    return f"{days:.0f} d" if days >= 2 else f"{max(days, 0) * 24:.0f} h"
