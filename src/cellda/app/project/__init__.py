"""A laboratory's project: its images, labels, models and jobs, in one folder next to the images."""
