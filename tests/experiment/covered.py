"""Which of cellda's files the key of each stage covers."""

from cellda.data import pixel_cache
from cellda.experiment.keys import STAGES, Computing
from cellda.plugins.code_digest import PACKAGE, shared_files

COMPUTING = {"pixels": Computing((*pixel_cache.READING, *pixel_cache.FRAMING), ()), **STAGES}
"""The shared code of every stage by name, decoding among them."""


def covered(stage: str, file: str) -> bool:
    """Whether a change of a file of cellda changes a stage's shared code."""
    return PACKAGE / file in shared_files(COMPUTING[stage].code)
