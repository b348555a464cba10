"""Command ``serve``: the console under granian, with or without a front of its own."""

import os
import socket
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from console.front import granian


class Command(BaseCommand):
    help = "Serve the console: with --tls-certificate and --tls-key, or --front, by a front of its own."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=settings.LISTEN_HOST)
        parser.add_argument("--port", type=int, default=settings.LISTEN_PORT)
        parser.add_argument("--workers", type=int, default=1, help="processes that serve pages")
        parser.add_argument(
            "--front", action="store_true", help="put a front before the console also without TLS"
        )
        parser.add_argument(
            "--per-address",
            type=int,
            default=settings.CONNECTIONS_PER_ADDRESS,
            help="connections that the front allows one address to have open",
        )
        parser.add_argument(
            "--tls-certificate", metavar="FILE", default=settings.TLS_CERTIFICATE, help="chain in PEM"
        )
        parser.add_argument("--tls-key", metavar="FILE", default=settings.TLS_KEY, help="its key in PEM")

    def handle(self, *args: Any, **options: Any) -> None:
        certificate, key = options["tls_certificate"], options["tls_key"]
        if bool(certificate) != bool(key):
            raise CommandError("Give --tls-certificate and --tls-key together, or neither.")
        where = {name: options[name] for name in ("host", "port", "workers")}
        if certificate or options["front"]:
            folder = settings.STATE_DIR / f"front-{options['port']}"
            told = where | {"per-address": options["per_address"], "folder": folder}
            arguments = ["-m", "console.front", *(f"--{name}={value}" for name, value in told.items())]
            if certificate:
                arguments += [f"--tls-certificate={certificate}", f"--tls-key={key}"]
                # The Deploy panel tells by it whether machines have to be given the CA.
                os.environ |= {"CAUSEWAY_TLS_CERTIFICATE": certificate, "CAUSEWAY_TLS_KEY": key}
        else:
            _check_free(options["host"], options["port"])
            arguments = ["-m", "granian", *granian.alone(**where)]
        # Exec, so that the process a service manager watches is the server itself.
        os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606


def _check_free(host: str, port: int) -> None:
    """Name in a sentence what granian would tell by a stack trace: an address that cannot be listened at."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen()
    except OSError as error:
        raise CommandError(
            f"The console cannot listen at {host}:{port}: {error.strerror}. Choose another port, or end what has this "
            "one (ss -ltnp tells what)."
        ) from error
