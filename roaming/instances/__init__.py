"""SAG APP instances and their networks."""
