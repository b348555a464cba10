"""Pages of the console itself: overview, audit, errors, password, and the addresses that monitors ask."""
