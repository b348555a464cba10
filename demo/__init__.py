"""Demo of real processes on one machine, started and watched by ``make demo``. It stands above all four floors."""
