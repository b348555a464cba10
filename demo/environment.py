"""Environment of the demo, set before Django's settings are read: everything that the demo writes lies in its home."""

import argparse
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Options:
    home: Path
    port: int
    fresh: bool

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="manage.py demo", description="Run the whole of Causeway on this machine."
    )
    made.add_argument(
        "--home", type=Path, default=ROOT / "var" / "demo", help="folder for everything that the demo writes"
    )
    made.add_argument("--port", type=int, default=8000, help="the console's port on 127.0.0.1")
    made.add_argument("--fresh", action="store_true", help="begin with an empty home")
    return made


def prepare(arguments: list[str]) -> Options:
    """Read the options and set the environment by them. The secret key is made once and kept in the home."""
    given = parser().parse_args(arguments)
    options = Options(home=given.home.resolve(), port=given.port, fresh=given.fresh)
    if options.fresh:
        from demo.leftovers import clear

        clear(options.home)
    os.umask(0o077)  # what the demo writes is its owner's alone
    options.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.environ.update(
        CAUSEWAY_SECRET_KEY=_kept_secret(options.home / "secret-key"),
        CAUSEWAY_ALLOWED_HOSTS="127.0.0.1,localhost",
        CAUSEWAY_PUBLIC_URL=options.url,
        CAUSEWAY_STATE_DIR=str(options.home),
        CAUSEWAY_HTTPS_ONLY="0",
        CAUSEWAY_DEBUG="0",
        CAUSEWAY_STATIC_COMPRESSED="0",  # over loopback, compression only costs: the demo is ready 10 s sooner
        # One account of each instance shows what a cap does; other accounts' caps should not disturb measurements.
        CAUSEWAY_BANDWIDTH_MAX_KBPS="10000000",
        CAUSEWAY_PUSH_ALLOW_PRIVATE="1",  # a visitor's webhook listens on this machine
        PYTHONUNBUFFERED="1",
    )
    os.environ.setdefault("DATABASE_URL", f"sqlite:///{options.home / 'causeway.sqlite3'}")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    return options


def _kept_secret(path: Path) -> str:
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(50))
    return path.read_text()
