"""The demo: real processes on one machine, started and watched by ``make demo`` (design §11). Above all four floors."""
