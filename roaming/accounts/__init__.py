"""Client accounts: every write, and roaming to other areas."""
