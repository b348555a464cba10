"""Trust in other machines' certificates: the system's store, and beside the store a CA that somebody named.

``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` name another store, as OpenSSL has them. Gateways are another matter: their
certificates come from the console's own CA, which only Envoy is told of.
"""

import os
import ssl
import sys
from pathlib import Path

from edge.outbound.errors import OutboundError

STORE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
# Where systems keep their store as one file, for programs that take no folder.
BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def context(ca: str = "") -> ssl.SSLContext:
    """Return what connections by TLS are judged by. `ca`: PEM of certificates that are trusted besides.

    Raises `OutboundError` when the environment names a store that cannot be read.
    """
    _check_variables()
    made = _of_the_system()
    # As curl and browsers judge: a certificate between counts when it is trusted by name, and an old company's CA
    # need not have every extension that newer rules ask for.
    made.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    made.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
    if ca:
        made.load_verify_locations(cadata=ca)
    return made


def bundle() -> str:
    """Return the system's store as one file, for pip and curl; empty where there is none."""
    named = os.environ.get(STORE_VARIABLES[0], "")
    return named or next((name for name in BUNDLES if Path(name).is_file()), "")


def read_ca(file: Path) -> str:
    """Return the certificates of a file in PEM, and nothing else of it. Raises `ValueError` or `OSError`."""
    text = file.read_text(encoding="ascii", errors="replace")
    parts = text.split("-----BEGIN CERTIFICATE-----")[1:]
    found = "".join(
        f"-----BEGIN CERTIFICATE-----{part.partition('-----END')[0]}-----END CERTIFICATE-----\n"
        for part in parts
    )
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=found)
    except (ssl.SSLError, ValueError):
        raise ValueError("it holds no certificate in PEM") from None
    return found


def _of_the_system() -> ssl.SSLContext:
    if sys.platform == "darwin" and not any(map(os.environ.get, STORE_VARIABLES)):
        import truststore  # the keychain, which OpenSSL does not know

        keychain: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return keychain
    made = ssl.create_default_context()
    if not _has_store():
        bundled = bundle()
        if not bundled:
            import certifi  # a bare container has no store at all; httpx brings the list of Mozilla

            bundled = certifi.where()
        made.load_verify_locations(cafile=bundled)
    return made


def _has_store() -> bool:
    """Tell whether OpenSSL finds a store at its usual places: a file, or a folder with something in it."""
    places = ssl.get_default_verify_paths()
    if places.cafile:
        return True
    return places.capath is not None and any(Path(places.capath).iterdir())


def _check_variables() -> None:
    """Refuse a store that cannot be read: OpenSSL would go on without, and trust nobody."""
    for variable, look in zip(STORE_VARIABLES, (_read_file, _read_folders), strict=True):
        if value := os.environ.get(variable, ""):
            try:
                look(value)
            except ssl.SSLError:  # is an OSError, too
                why = "holds no certificate in PEM"
            except OSError as error:
                why = f"cannot be read: {error.strerror}"
            else:
                continue
            raise OutboundError(f"{variable} names {value}, which {why}. Correct the variable, or unset it.")


def _read_file(name: str) -> None:
    Path(name).open("rb").close()
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=name)


def _read_folders(names: str) -> None:
    for name in names.split(os.pathsep):
        next(Path(name).iterdir(), None)
