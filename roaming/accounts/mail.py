"""Mails to the owners of client accounts. Pages and admin send these mails; the services do not."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.core.mail import EmailMessage, get_connection
from django.db import transaction
from django.template.loader import render_to_string

from console.core.mailing import FAULTS, reason
from roaming.accounts.models import ClientAccount
from roaming.connecting.ways import LOCAL_PAC, ca_url, connect_command, gateways_of, install_command

logger = logging.getLogger(__name__)


@dataclass
class Mailing:
    """Fate of a mail: ``sent`` to these addresses, and the ``problem`` with the others as a sentence.

    Both are empty until the transaction in which the mail was ordered has ended.
    """

    sent: list[str] = field(default_factory=list)
    problem: str = ""

    @property
    def words(self) -> str:
        """Return a sentence for the page; empty while nothing is known."""
        told = f"User name and password were mailed to {', '.join(self.sent)}." if self.sent else ""
        return self.problem or told


def credentials(accounts: Sequence[ClientAccount], password: str, *, reset: bool = False) -> Mailing:
    """Mail instance ID, user name and password to the accounts' addresses, one mail each, after the commit.

    ``accounts`` share the password and have their instance's area selected. A mail that cannot be sent is told in the
    returned ``Mailing`` and in the log, never raised: the change that the mail tells of is made.
    """
    mailing = Mailing()
    by_address: dict[str, list[ClientAccount]] = {}
    for account in accounts:
        by_address.setdefault(account.email.lower(), []).append(account)
    messages = [_message(rows, password, reset) for rows in by_address.values()]
    transaction.on_commit(lambda: _send(messages, mailing))
    return mailing


def _message(accounts: Sequence[ClientAccount], password: str, reset: bool) -> EmailMessage:
    first = accounts[0]
    context = {"accounts": accounts, "username": first.username, "password": password, "reset": reset}
    context |= {"ways": [_way(each) for each in accounts], "ca_url": ca_url(), "local_pac": LOCAL_PAC}
    context["install"] = install_command()
    subject = "Your new password" if reset else f"Your access to {first.instance.name}"
    return EmailMessage(subject, render_to_string("roaming/mail/credentials.txt", context), to=[first.email])


def _way(account: ClientAccount) -> dict[str, object]:
    instance = account.instance
    command = connect_command(instance.pk, account.username)
    gateways = gateways_of(instance)
    return {"area": instance.region.area, "instance": instance.pk, "gateways": gateways, "command": command}


def _send(messages: Sequence[EmailMessage], mailing: Mailing) -> None:
    try:
        with get_connection() as connection:
            for message in messages:
                connection.send_messages([message])
                mailing.sent += message.to
    except FAULTS as error:
        left = [address for message in messages for address in message.to if address not in mailing.sent]
        logger.warning("A mail to %s could not be sent: %s", ", ".join(left), error)
        mailing.problem = (
            f"The mail to {', '.join(left)} could not be sent ({reason(error)}). "
            "Hand the password over in another way."
        )
