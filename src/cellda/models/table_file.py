"""The files of a table of predictions, checked before the work and without imports that take time."""

from pathlib import Path

from cellda.errors import ConfigurationError

SUFFIXES = (".csv", ".parquet", ".json", ".xlsx")


def record_of(file: Path) -> Path:
    """Where it is recorded what made a table and what was left out; the record is part of the table and replaced with it."""
    return file.with_name(f"{file.name}.json")


def check_table(file: Path, *, overwrite: bool) -> None:
    """Refuse a file that a table of predictions cannot be written to.

    Raises:
        ConfigurationError: If its suffix is another, or it exists and is not to be replaced.
    """
    if file.suffix.lower() not in SUFFIXES:
        raise ConfigurationError(
            f"Predictions are saved as CSV, Parquet, JSON or Excel: end '{file}' in .csv, .parquet, .json or .xlsx."
        )
    if file.exists() and not overwrite:
        raise ConfigurationError(f"{file} exists; give another file, or --overwrite to replace it.")
