"""Base classes that several normalizers share."""
