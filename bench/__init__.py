"""Measurements: the whole chain beside a bare Envoy chain and OpenSSH, and the time a cut takes. See ``make bench``."""
