"""The console's settings for tests: cheap password hashes, nothing sent out, all files in ``CAUSEWAY_STATE_DIR``.

``tests/conftest.py`` makes that folder and removes it; mypy, which only reads the settings, needs none.
"""

import os

os.environ["CAUSEWAY_SECRET_KEY"] = "only-for-tests-" + "0123456789abcdef" * 4
os.environ["CAUSEWAY_DEBUG"] = "0"
os.environ["CAUSEWAY_HTTPS_ONLY"] = "0"
os.environ["CAUSEWAY_ALLOWED_HOSTS"] = "testserver,localhost,127.0.0.1"
os.environ["CAUSEWAY_PUBLIC_URL"] = "http://testserver"

from console.settings import *  # noqa: F403
from console.settings import DATABASES, STATE_DIR, STORAGES

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
# Shares that no test uses up by the way; tests of shares set their own.
TELEMETRY_CALLS_PER_MINUTE = LOGONS_PER_MINUTE = ENROLLMENT_FAILURES_PER_MINUTE = 1_000_000
# Each test has another database: what the stamp remembers would always be another history.
EPOCH_STAMPS = None
# No collectstatic before a test.
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, as in operation: SQLite in memory locks differently when a live server's threads share it.
    DATABASES["default"]["TEST"] = {"NAME": str(STATE_DIR / "test.sqlite3")}
