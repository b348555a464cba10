"""Mails that somebody waits for: sent at once, and whoever waits is told why one could not be sent."""

import logging
from smtplib import SMTPException

from django.core.mail import EmailMessage

logger = logging.getLogger(__name__)
FAULTS = (SMTPException, OSError)


def sent_or_why(message: EmailMessage) -> str:
    """Send a mail; return "" when the mail server took it, else why not. Its text is not logged."""
    try:
        message.send()
    except FAULTS as error:
        logger.warning("A mail to %s could not be sent: %s", ", ".join(message.to), error)
        return reason(error)
    return ""


def reason(error: Exception) -> str:
    """Return the mail server's words, or why the server was not reached; on one line, of at most 600 characters."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:600].rstrip(".")
