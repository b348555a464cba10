"""Failures on the way out: a variable that cannot be followed, a proxy that refuses, a certificate of nobody known."""

from edge.errors import EdgeError


class OutboundError(EdgeError, OSError):
    """Reason in a sentence why a connection does not come about; it names the variable, proxy or certificate."""
