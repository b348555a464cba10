"""Events of ``causeway connect``: sentences for people, or one JSON object a line for programs."""

import json
import re
import sys
import time
from typing import Any

# Events by which the program ends against its user's will: people read these where errors are.
FAILURES = frozenset({"refused", "unreachable", "failed", "ended"})


class Events:
    """Writer of events to standard output, each at once; for people, failures go to standard error.

    As JSON each has ``event`` (a name of docs/clients.md), ``time`` (epoch seconds), ``message`` (the sentence that
    people read) and what belongs to it.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self._as_json = as_json

    def tell(self, event: str, message: str, **fields: Any) -> None:
        """Tell one thing that happened."""
        text, stream = message, sys.stderr if event in FAILURES else sys.stdout
        if self._as_json:
            stream = sys.stdout
            text = json.dumps({"event": event, "time": round(time.time(), 3), "message": message, **fields})
        try:
            print(text, file=stream, flush=True)
        except OSError:
            return  # nobody listens any more; the proxy is still of use


def plain(error: Exception) -> str:
    """Return an error's sentence without the numbers and names by which only programmers know it."""
    return re.sub(r"\[(Errno -?\d+|SSL: \w+)\] | \(_ssl\.c:\d+\)", "", str(error))
