"""A connector server's agent and its parts."""
