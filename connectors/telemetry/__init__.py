"""Samples of servers: ``store`` is the only door to them, ``charts`` draws them, ``intake`` takes what is sent."""
