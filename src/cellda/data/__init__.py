"""Cells on their way to the network: draws, decoded pixels, a laboratory's own cells."""
