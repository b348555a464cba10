"""Environment of a machine that has no proxy and no store of its own named, and what a test then sets."""

import os

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


def environment(**values: str) -> dict[str, str]:
    """Return this process's environment with these variables of the way out, and no others."""
    known = {*VARIABLES, *(name.lower() for name in VARIABLES)}
    return {name: value for name, value in os.environ.items() if name not in known} | values
