"""Reporting: tables and figures, computed from prediction tables."""
