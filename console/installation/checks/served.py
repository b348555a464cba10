"""Looks at what the console serves: static files, the machines' wheel, certificate, address, mail."""

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from smtplib import SMTPException
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from cryptography import x509
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.mail import get_connection

from console.front.certificate import CertificateFiles, CertificateInvalid
from console.installation import wheel as installed
from console.installation.checks import SETUP, error, ok, warning
from console.machines.wheels import newest_wheel
from edge.machine.checks import Check

# Renewals come at least a month before the end; after this nobody has renewed.
RENEWAL_DUE = timedelta(days=14)
PATIENCE = 10.0
RENEW = "Renew the certificate, and run causeway-console setup --tls-certificate FILE --tls-key FILE."


def static_files() -> Iterator[Check]:
    """Look whether every static file of this release was collected."""
    known = getattr(staticfiles_storage, "hashed_files", None)
    if known is None:
        yield ok("static files", "Static files are served from where they lie.")
        return
    wanted = [
        f"{prefix}/{path}" if (prefix := getattr(storage, "prefix", None)) else path
        for finder in get_finders()
        for path, storage in finder.list([])
    ]
    if missing := [path for path in wanted if path.replace("\\", "/") not in known]:
        finding = f"{len(missing)} of {len(wanted)} static files were not collected, {missing[0]} among them."
        yield error("static files", finding, SETUP)
    else:
        yield ok("static files", f"{len(wanted)} static files are in {settings.STATIC_ROOT}.")


def wheel() -> Iterator[Check]:
    found = newest_wheel()
    fix = "causeway-console setup --wheel FILE, with the wheel that was installed here."
    if found is None:
        yield error(
            "wheel", f"{settings.WHEEL_DIR} holds no wheel: no machine can be deployed or upgraded.", fix
        )
    elif found.version != installed.version():
        finding = f"Machines are given {found.version}, and the console is {installed.version()}."
        yield warning("wheel", finding, fix)
    else:
        yield ok("wheel", f"Machines are given {found.name}.")


def certificate() -> Iterator[Check]:
    """Look at the front's certificate: whole, of the console's name, and not about to end."""
    name = "certificate"
    if not settings.TLS_CERTIFICATE:
        if not settings.HTTPS:
            fix = "causeway-console setup --url https://… --tls-certificate FILE --tls-key FILE"
            yield warning(name, "The console is reached by plain HTTP: passwords pass in the clear.", fix)
        elif not settings.TRUSTED_PROXY:
            fix = "Name a certificate with causeway-console setup, or set CAUSEWAY_TRUSTED_PROXY=1 behind a proxy."
            yield error(name, f"Nothing ends TLS for {settings.PUBLIC_URL}.", fix)
        else:
            yield ok(name, "A proxy of yours ends TLS.")
        return
    try:
        chain, _ = CertificateFiles(Path(settings.TLS_CERTIFICATE), Path(settings.TLS_KEY)).check()
    except CertificateInvalid as wrong:
        yield error(name, str(wrong), RENEW)
        return
    yield _judged(x509.load_pem_x509_certificates(chain)[0])


def _judged(found: x509.Certificate) -> Check:
    host, end = urlsplit(settings.PUBLIC_URL).hostname or "", found.not_valid_after_utc
    left, said = end - datetime.now(UTC), f"{end:%Y-%m-%d %H:%M} UTC"
    if left < timedelta():
        return error("certificate", f"The certificate has ended on {said}.", RENEW)
    if not _names(found, host):
        return error("certificate", f"The certificate is not of {host}.", f"Get one for {host}. {RENEW}")
    if left < RENEWAL_DUE:
        return warning("certificate", f"The certificate ends on {said}, in {left.days} days.", RENEW)
    return ok("certificate", f"The certificate of {host} holds until {said}.")


def _names(found: x509.Certificate, host: str) -> bool:
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    if host in (str(each) for each in names.get_values_for_type(x509.IPAddress)):
        return True
    wild = f"*.{host.partition('.')[2]}"
    return any(each.lower() in (host, wild) for each in names.get_values_for_type(x509.DNSName))


def address() -> Iterator[Check]:
    """Ask the console for its health, as browsers and machines reach it."""
    name, url = "address", f"{settings.PUBLIC_URL}/healthz"
    try:
        # The scheme is that of the setting, http or https.
        with urlopen(Request(url), timeout=PATIENCE) as answer:  # noqa: S310  # nosec B310
            status = answer.status
    except URLError as failed:
        status, reason = getattr(failed, "code", 0), failed.reason
        if isinstance(reason, ssl.SSLCertVerificationError):
            fix = "Add the CA that signed it to the trust store of this machine, and of every machine of Causeway."
            yield error(name, f"This machine does not trust the certificate: {reason.verify_message}.", fix)
            return
        if not status:
            yield _unreached(str(getattr(reason, "strerror", None) or reason))
            return
    except OSError as failed:
        yield _unreached(str(failed))
        return
    if status == 200:
        yield ok(name, f"{settings.PUBLIC_URL} answers.")
    else:
        fix = "Look at journalctl --unit causeway-console, and at what stands between."
        yield error(name, f"{url} answers with status {status}.", fix)


def _unreached(reason: str) -> Check:
    where = f"{settings.LISTEN_HOST}:{settings.LISTEN_PORT}"
    finding = f"{settings.PUBLIC_URL} cannot be reached: {reason}."
    if not _listens():
        return error("address", finding, f"Nothing listens at {where}: systemctl restart causeway-console.")
    fix = f"Something listens at {where} (ss -ltnp tells what). Lead the name there, and let TCP through the firewall."
    return error("address", finding, fix)


def _listens() -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.LISTEN_HOST, settings.LISTEN_HOST)  # noqa: S104
    try:
        socket.create_connection((host, settings.LISTEN_PORT), timeout=PATIENCE).close()
    except OSError:
        return False
    return True


def mail() -> Iterator[Check]:
    """Open a connection to the mail server, and log in there; no mail is sent."""
    where = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    if settings.DEFAULT_FROM_EMAIL == "causeway@localhost":
        fix = "causeway-console setup --mail HOST:PORT --mail-from ADDRESS, where client accounts are to get mails."
        yield warning("mail", "No mail server is named: nobody gets a mail.", fix)
        return
    try:
        connection = get_connection(fail_silently=False)
        connection.open()
        connection.close()
    except (OSError, SMTPException) as failed:
        reason = getattr(failed, "strerror", None) or str(failed)
        fix = "Look at the variables CAUSEWAY_MAIL_… and at the way to the mail server."
        yield error("mail", f"{where} takes no mail from the console: {reason}.", fix)
    else:
        yield ok("mail", f"{where} takes mail from the console.")
