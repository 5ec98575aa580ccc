"""cellda: make a white-blood-cell classifier work on your own microscope with at most 100 labelled cells."""

__version__ = "0.1.0"
