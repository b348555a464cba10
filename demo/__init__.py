"""Demo of real processes on one machine, started and watched by ``make demo``; above all four floors."""
