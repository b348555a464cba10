"""The gateway's agent."""

import sys

# httpx brings a command line that no agent needs, and with it rich and pygments, 5 MB; it does without when told so.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
