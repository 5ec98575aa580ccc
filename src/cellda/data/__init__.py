"""From datasets to network inputs: draws, decoded pixels, a laboratory's own cells."""
