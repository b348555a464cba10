"""Cloud Connect Networks and their cloud networks."""
