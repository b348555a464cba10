"""Answers of the set-up, and the variables of the environment file that they become."""

import argparse
import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from console.installation import place, questions
from console.installation.questions import NONE, SQLITE, Question, answer

ADDRESS = Question(
    "CAUSEWAY_PUBLIC_URL", "--url", "Address of the console, such as https://console.example.com", None,
    questions.address,
)  # fmt: skip
CERTIFICATE = Question(
    "CAUSEWAY_TLS_CERTIFICATE", "--tls-certificate",
    "File with the certificate's chain in PEM; “none” where a proxy of yours ends TLS", None, questions.readable,
)  # fmt: skip
KEY = Question(
    "CAUSEWAY_TLS_KEY", "--tls-key", "File with the certificate's key in PEM", None, questions.readable
)
DATABASE = Question(
    "DATABASE_URL", "--database", "Database: “sqlite”, or postgres://USER:PASSWORD@HOST/NAME", SQLITE,
    questions.database,
)  # fmt: skip
MAIL = Question(
    "CAUSEWAY_MAIL_HOST", "--mail", "Mail server HOST or HOST:PORT; “none” for no mail", NONE, questions.mail_host
)  # fmt: skip
MAIL_FROM = Question("CAUSEWAY_MAIL_FROM", "--mail-from", "Sender of the console's mails", None)
MAIL_USER = Question("CAUSEWAY_MAIL_USER", "--mail-user", "User at the mail server; empty for none", "")
MAIL_PASSWORD = Question("CAUSEWAY_MAIL_PASSWORD", "", "Password at the mail server", None, secret=True)
# Keys that the set-up makes once and never again.
KEYS = ("CAUSEWAY_SECRET_KEY", "CAUSEWAY_SEALING_KEYS", "CAUSEWAY_AUDIT_KEY")


def variables(given: argparse.Namespace, kept: Mapping[str, str]) -> dict[str, str]:
    """Return all variables of the environment file: those of before, changed by what was answered now."""
    made = dict(kept)
    for name in KEYS:
        made.setdefault(name, secrets.token_urlsafe(50))
    state = given.state or kept.get("CAUSEWAY_STATE_DIR") or place.default_state()
    made["CAUSEWAY_STATE_DIR"] = str(Path(state).expanduser().absolute())
    _address(made, given, kept)
    _database(made, given, kept)
    _mail(made, given, kept)
    return made


def _address(made: dict[str, str], given: argparse.Namespace, kept: Mapping[str, str]) -> None:
    url = answer(ADDRESS, given.url, kept)
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    made["CAUSEWAY_PUBLIC_URL"] = url
    if given.url or "CAUSEWAY_ALLOWED_HOSTS" not in kept:
        made["CAUSEWAY_ALLOWED_HOSTS"] = host
    if parts.scheme == "http":
        made["CAUSEWAY_HTTPS_ONLY"] = "0"
    else:
        made.pop("CAUSEWAY_HTTPS_ONLY", None)
        _certificate(made, given, kept)
    if given.listen or "CAUSEWAY_LISTEN_PORT" not in kept:
        _listen(made, given.listen, parts.scheme, parts.port)


def _certificate(made: dict[str, str], given: argparse.Namespace, kept: Mapping[str, str]) -> None:
    """Take certificate and key, or note that a proxy stands before the console."""
    if given.tls_certificate is None and kept.get("CAUSEWAY_TRUSTED_PROXY") == "1":
        return
    certificate = answer(CERTIFICATE, given.tls_certificate, kept)
    if certificate:
        made.update(CAUSEWAY_TLS_CERTIFICATE=certificate, CAUSEWAY_TLS_KEY=answer(KEY, given.tls_key, kept))
        made.pop("CAUSEWAY_TRUSTED_PROXY", None)
        return
    made["CAUSEWAY_TRUSTED_PROXY"] = "1"
    for name in ("CAUSEWAY_TLS_CERTIFICATE", "CAUSEWAY_TLS_KEY"):
        made.pop(name, None)


def _listen(made: dict[str, str], given: str | None, scheme: str, port: int | None) -> None:
    behind = scheme == "https" and "CAUSEWAY_TLS_CERTIFICATE" not in made
    usual = "127.0.0.1:8000" if behind else f"0.0.0.0:{port or {'http': 80, 'https': 443}[scheme]}"
    host, number = questions.listen(given or usual)
    made.update(CAUSEWAY_LISTEN_HOST=host, CAUSEWAY_LISTEN_PORT=number)


def _database(made: dict[str, str], given: argparse.Namespace, kept: Mapping[str, str]) -> None:
    # A file of before without a database means SQLite in the state directory.
    known = {"DATABASE_URL": SQLITE, **kept} if kept else kept
    url = answer(DATABASE, questions.not_in_arguments(given.database), known)
    if url == SQLITE:
        made.pop("DATABASE_URL", None)
    else:
        made["DATABASE_URL"] = url


def _mail(made: dict[str, str], given: argparse.Namespace, kept: Mapping[str, str]) -> None:
    known = {"CAUSEWAY_MAIL_HOST": NONE, **kept} if kept else kept
    server = answer(MAIL, given.mail, known)
    if not server:
        for name in [name for name in made if name.startswith("CAUSEWAY_MAIL_")]:
            del made[name]
        return
    host, _, port = server.partition(":") if server.count(":") == 1 else (server, "", "")
    made["CAUSEWAY_MAIL_HOST"] = host
    if port:
        made["CAUSEWAY_MAIL_PORT"] = port
    if given.mail_starttls is not None:
        made["CAUSEWAY_MAIL_STARTTLS"] = str(int(given.mail_starttls))
    made["CAUSEWAY_MAIL_FROM"] = answer(MAIL_FROM, given.mail_from, kept)
    if user := answer(MAIL_USER, given.mail_user, {"CAUSEWAY_MAIL_USER": "", **kept} if kept else kept):
        made["CAUSEWAY_MAIL_USER"] = user
        made["CAUSEWAY_MAIL_PASSWORD"] = answer(MAIL_PASSWORD, None, kept)
