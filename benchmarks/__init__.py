"""Studies, figures, questions and timings: `python -m benchmarks.studies.zoo --data FOLDER`."""
