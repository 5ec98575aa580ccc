"""The paper's numbers, and its tables and figures made from stored predictions."""
