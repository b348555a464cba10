"""Client accounts from CSV files."""
