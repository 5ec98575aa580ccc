"""Reports: one HTML file, or PDF, of what a model did with the cells of a laboratory, for people who look at cells."""
