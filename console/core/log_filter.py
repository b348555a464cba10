"""Log without tokens and without floods.

Django names the path of a refused request, and the path of a one-use link is the link. Of a suspicious request, such
as one with a wrong Host header, Django logs a traceback, by which any stranger fills the log.
"""

import logging
import re

TOKEN = re.compile(r"(/password-link/)[^/\s?]+")


class WithoutTokens(logging.Filter):
    """Filter of a handler that replaces the token of a one-use link in whatever is logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if (cleaned := TOKEN.sub(r"\1…", text)) != text:
            record.msg, record.args = cleaned, ()
        return True


class WithoutTracebacks(logging.Filter):
    """Filter of a handler that keeps one line of what Django refuses as suspicious: the caller's fault, not ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("django.security."):
            record.exc_info = record.exc_text = None
        return True
