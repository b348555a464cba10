"""The gateway's agent."""

import sys

# httpx brings a command line that no agent needs, and with it rich and pygments, 5 MB: tell httpx to do without.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
