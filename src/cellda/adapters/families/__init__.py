"""What adapters share: the bases that members derive from, and the terms of their objectives."""
