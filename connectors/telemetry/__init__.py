"""Samples of servers: ``intake`` checks what is sent, ``store`` is the only door to samples, ``charts`` draws them."""
