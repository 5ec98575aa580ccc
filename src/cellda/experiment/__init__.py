"""Single runs and studies that compare many: checks, stages, stored results and names."""
