"""The demo: real processes on one machine, started and watched by ``make demo``. Above all four floors."""
