"""Demo of real processes on one machine, started and watched by ``make demo``. The demo stands above all four floors."""
