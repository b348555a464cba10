"""Applications: what users reach, by addresses and ports."""
