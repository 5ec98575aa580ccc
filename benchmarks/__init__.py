"""Studies, figures, questions and timings, run from the root of a clone: `python -m benchmarks.studies.zoo --data FOLDER`."""
