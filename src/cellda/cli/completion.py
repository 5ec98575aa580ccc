"""Names that a shell completes; nothing heavy is imported, and nothing that is wrong stops the shell."""

from collections.abc import Callable, Iterable

Completer = Callable[[str], list[tuple[str, str]]]
"""From what was typed to names that begin so, each with what it is."""


def _names(known: Callable[[], Iterable[tuple[str, str]]]) -> Completer:
    def complete(incomplete: str) -> list[tuple[str, str]]:
        return [(name, summary) for name, summary in known() if name.startswith(incomplete)]

    return complete


@_names
def datasets() -> Iterable[tuple[str, str]]:
    """Datasets by name."""
    from cellda import datasets

    return [(name, datasets.summary(name)) for name in datasets.names()]


@_names
def adapters() -> Iterable[tuple[str, str]]:
    """Adapters by name."""
    from cellda.adapters import registry

    return [(name, registry.summary(name)) for name in registry.names()]


@_names
def framings() -> Iterable[tuple[str, str]]:
    """Framings by name."""
    from cellda.framing import registry

    return [(name, registry.summary(name)) for name in registry.names()]


@_names
def taxonomies() -> Iterable[tuple[str, str]]:
    """Taxonomies by name."""
    from cellda.taxonomies import registry

    return [(name, registry.summary(name)) for name in registry.names()]


@_names
def presets() -> Iterable[tuple[str, str]]:
    """Presets by name."""
    from cellda import presets

    return [(name, presets.summary(name)) for name in presets.names()]


@_names
def models() -> Iterable[tuple[str, str]]:
    """Trained source models by name."""
    from cellda import source_models

    return [(name, source_models.summary(name)) for name in source_models.names()]


@_names
def tables() -> Iterable[tuple[str, str]]:
    """Tables by name."""
    from cellda.reporting.catalogue import TABLES, summaries

    return summaries(TABLES).items()


@_names
def figures() -> Iterable[tuple[str, str]]:
    """Figures by name."""
    from cellda.reporting.catalogue import FIGURES, summaries

    return summaries(FIGURES).items()
