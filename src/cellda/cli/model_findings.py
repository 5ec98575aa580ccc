"""What `cellda doctor` finds out about trained source models."""

from collections.abc import Iterator

from cellda.cli.findings import Finding, State
from cellda.errors import CelldaError


def source_models() -> Iterator[Finding]:
    """The trained source models that are installed, and what is wrong with their files."""
    from cellda import source_models
    from cellda.source_models.spec import SourceModel

    names = source_models.names()
    if not names:
        yield Finding("source models", "none is installed; runs train theirs on the sources")
    for name in names:
        try:
            model = SourceModel.model_validate(name)
            source_models.load(name)
            trained = model.card.sources if model.card else ()
            cells = ", ".join(source.name for source in trained)
            yield Finding(f"model {name}", f"{model.digest}, trained on {cells}")
        except (CelldaError, ValueError) as error:
            yield Finding(f"model {name}", str(error), State.WRONG, "reinstall the package that holds it")
