"""What ``causeway connect`` tells: sentences for people, or one JSON object a line for programs."""

from __future__ import annotations

import json
import sys
import time
from typing import Any, TextIO


class Events:
    """Writes to standard output, every event at once.

    As JSON each has ``event`` (a name of docs/clients.md), ``time`` (epoch seconds), ``message`` (the sentence that
    people read) and what belongs to it.
    """

    def __init__(self, *, as_json: bool = False, stream: TextIO | None = None) -> None:
        self._as_json = as_json
        self._stream = stream or sys.stdout

    def tell(self, event: str, message: str, **fields: Any) -> None:
        """Tell one thing that happened."""
        text = message
        if self._as_json:
            text = json.dumps({"event": event, "time": round(time.time(), 3), "message": message, **fields})
        try:
            print(text, file=self._stream, flush=True)
        except OSError:
            return  # nobody listens any more; the proxy is still of use
