"""`cellda store`: what takes the room, and its removal."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cellda.cli.app import out, say
from cellda.cli.options import ShownStore
from cellda.errors import ConfigurationError
from cellda.runtime.place import check_writable
from cellda.text import counted

if TYPE_CHECKING:
    from cellda.runtime.inventory import Entry
    from cellda.runtime.store import Store

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
) -> None:
    """Show what takes the room in the store, by kind: usable, orphaned, partial and damaged results."""
    if context.invoked_subcommand is not None:
        if verify:
            raise ConfigurationError(
                "--verify only shows what is damaged; `cellda store clear --damaged` reads every file by itself."
            )
        context.obj = place
        return
    from cellda.runtime.inventory import State, remembered
    from cellda.runtime.room import in_words

    opened, found = _entries(place, verify=verify)
    root, hashes = opened.root, remembered(opened)
    if hashes:
        say(
            f"{hashes[0].name}: {in_words(_size(hashes))} of hashes, by which images that did not change are not read again "
            "(`cellda store clear --hashes` removes them)"
        )
    if not found:
        say(f"There are no results in {root}.")
        return
    out.print(_table(found))
    for entry in found:
        if entry.state is State.DAMAGED:
            say(f"damaged: {entry.place} ({entry.why})")
    for why in dict.fromkeys(entry.why for entry in found if entry.state is State.ORPHANED):
        say(f"orphaned, not used any more: {why}")
    say(f"{counted(len(found), 'result(s)')}, {in_words(sum(entry.size for entry in found))} in {root}")


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
    from cellda.runtime.inventory import State, remove
    from cellda.runtime.room import in_words

    chosen_place = place or context.obj
    if chosen_place and not dry_run:
        check_writable(chosen_place, folder=True, what="--store")
    states = {State.ORPHANED: orphaned, State.PARTIAL: partial, State.DAMAGED: damaged}
    wanted = {state for state, asked in states.items() if asked} or set(State)
    if hashes:
        _clear_hashes(place or context.obj, dry_run=dry_run, yes=yes)
        return
    opened, found = _entries(place or context.obj, verify=damaged)
    root = opened.root
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
    if not chosen:
        say(f"No result in {root} matches.")
        return
    out.print(_table(chosen))
    size = in_words(sum(entry.size for entry in chosen))
    if dry_run:
        say(f"{counted(len(chosen), 'result(s)')} ({size}) would be removed from {root}.")
        return
    _ask(f"{counted(len(chosen), 'result(s)')} ({size}) from {root}", yes=yes)
    gone = [entry for entry in chosen if remove(entry)]
    say(
        f"Removed {counted(len(gone), 'result(s)')} ({in_words(sum(entry.size for entry in gone))}) from {root}."
    )
    if len(gone) < len(chosen):
        say(f"{counted(len(chosen) - len(gone), 'result(s) (stays|stay)')}, because a process works there.")


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


def _clear_hashes(place: Path | None, *, dry_run: bool, yes: bool) -> None:
    from cellda.runtime.inventory import remembered
    from cellda.runtime.room import in_words
    from cellda.runtime.store import Store

    opened = Store(place)
    files = remembered(opened)
    size = in_words(_size(files))
    if not files:
        say(f"There are no hashes of images in {opened.root}.")
    elif dry_run:
        say(f"The hashes of images ({size}) would be removed from {opened.root}.")
    else:
        _ask(f"the hashes of images ({size}) from {opened.root}", yes=yes)
        for file in files:
            file.unlink(missing_ok=True)
        say(f"Removed the hashes of images ({size}) from {opened.root}.")


def _ask(what: str, *, yes: bool) -> None:
    """Ask before something is removed; without agreement, the command ends."""
    if not yes and not typer.confirm(f"Remove {what}?"):
        say("Nothing was removed.")
        raise typer.Exit(1)


def _size(files: list[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def _entries(place: Path | None, *, verify: bool = False) -> "tuple[Store, list[Entry]]":
    from cellda.experiment.orphans import orphaned
    from cellda.runtime import progress
    from cellda.runtime.inventory import entries
    from cellda.runtime.store import Store

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


def _table(found: "list[Entry]") -> Table:
    """One row per kind and state, the largest first."""
    from cellda.runtime.room import in_words

    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in found:
        groups.setdefault((entry.kind, entry.state.value), []).append(entry)
    table = Table(box=None, header_style="bold")
    for name in ("kind", "state"):
        table.add_column(name)
    for name in ("results", "size", "oldest", "newest"):
        table.add_column(name, justify="right")
    for (kind, state), group in sorted(groups.items(), key=lambda item: -sum(e.size for e in item[1])):
        ages = [entry.age for entry in group]
        size = in_words(sum(entry.size for entry in group))
        table.add_row(escape(kind), state, str(len(group)), size, _ago(max(ages)), _ago(min(ages)))
    return table


def _ago(days: float) -> str:
    return f"{days:.0f} d" if days >= 2 else f"{max(days, 0) * 24:.0f} h"
