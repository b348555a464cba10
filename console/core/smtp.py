"""Mail by SMTP as the console sends it: by the proxy of ``ALL_PROXY``, and trusting the system's store."""

import contextlib
import smtplib
import socket
import ssl
from typing import Any

from django.core.mail.backends import smtp

from edge.outbound import trust
from edge.outbound.certificates import FETCH_SECONDS, CertificateRefused, explained, fetch, trusting
from edge.outbound.dialling import dial

REMEDY = (
    "Put the issuer's certificate into the trust store of the console's system, or name its file in SSL_CERT_FILE; "
    "then start console and worker anew."
)


class _Plain(smtplib.SMTP):
    """SMTP that begins without TLS."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return dial(host, port, scheme="smtp", timeout=timeout)


class _Secured(smtplib.SMTP_SSL):
    """SMTP within TLS from its first byte."""

    def _get_socket(self, host: str, port: int, timeout: float) -> ssl.SSLSocket:
        connection = dial(host, port, scheme="smtp", timeout=timeout)
        return self.context.wrap_socket(connection, server_hostname=host)


class EmailBackend(smtp.EmailBackend):
    """Django's backend, with the console's way out. A certificate that is not trusted raises `CertificateRefused`."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _Secured if self.use_ssl else _Plain

    @property
    def ssl_context(self) -> ssl.SSLContext:
        return trust.context()

    def open(self) -> Any:
        """Connect and log in; see the base class."""
        try:
            return super().open()
        except ssl.SSLCertVerificationError as error:
            begun: smtplib.SMTP | None = getattr(self, "_partial_connection", None)
            if begun is not None:
                begun.close()  # without a farewell, which the other side would not hear
            self._partial_connection = None
            told = explained(error, self._certificate(), self.host, self.port, remedy=REMEDY)
            raise CertificateRefused(told) from error

    def _certificate(self) -> bytes | None:
        """Return the certificate (DER) that the mail server shows, trusted or not."""
        if self.use_ssl:
            return fetch(lambda: dial(self.host, self.port, scheme="smtp", timeout=FETCH_SECONDS), self.host)
        with (
            contextlib.suppress(OSError, smtplib.SMTPException),
            _Plain(self.host, self.port, timeout=FETCH_SECONDS) as connection,
        ):
            connection.starttls(context=trusting())
            secured = connection.sock
            return secured.getpeercert(binary_form=True) if isinstance(secured, ssl.SSLSocket) else None
        return None
