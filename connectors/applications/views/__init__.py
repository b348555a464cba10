"""Pages of applications, and of their CSV file."""
