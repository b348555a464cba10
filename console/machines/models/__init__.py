"""Tables of machines, of their logs, and of the console's own keys."""
