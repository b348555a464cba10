"""Command ``causeway-console``, also as ``python -m causeway_console``: a console set up, served, worked, looked at."""
