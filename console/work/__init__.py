"""Tasks: long work in the background, done by the worker."""
