"""Agent of a connector server, and its parts."""
