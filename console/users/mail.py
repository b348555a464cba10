"""The mail with a one-use link."""

from django.core.mail import EmailMessage
from django.template.loader import render_to_string

from console.core.mailing import sent_or_why
from console.core.models.access import User


def link_sent_or_why(user: User, url: str, sender: User) -> str:
    """Mail a link to a user's address; return "" when the mail server took the mail, else why not."""
    context = {"user": user, "url": url, "sender": sender.get_full_name() or sender.username}
    text = render_to_string("console/users/link.txt", context)
    return sent_or_why(EmailMessage("Your access to the console", text, to=[user.email]))
