"""Log without tokens: Django names the path of a refused request, and the path of a one-use link is the link."""

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
