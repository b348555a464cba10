"""The console's settings for tests: an own state directory, cheap password hashes, nothing sent out."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_state_dir = Path(tempfile.mkdtemp(prefix="causeway-tests-"))
atexit.register(shutil.rmtree, _state_dir, ignore_errors=True)

os.environ["CAUSEWAY_STATE_DIR"] = str(_state_dir)
os.environ["CAUSEWAY_SECRET_KEY"] = "only-for-tests-" + "0123456789abcdef" * 4
os.environ["CAUSEWAY_DEBUG"] = "0"
os.environ["CAUSEWAY_HTTPS_ONLY"] = "0"
os.environ["CAUSEWAY_ALLOWED_HOSTS"] = "testserver,localhost,127.0.0.1"
os.environ["CAUSEWAY_PUBLIC_URL"] = "http://testserver"
os.environ.setdefault("DATABASE_URL", f"sqlite:///{_state_dir / 'console.sqlite3'}")

from console.settings import *  # noqa: E402, F403
from console.settings import DATABASES, STATIC_ROOT, STORAGES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
# No collectstatic before a test; whitenoise wants the folder to be there.
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, as in operation: SQLite in memory locks differently when a live server's threads share it.
    DATABASES["default"]["TEST"] = {"NAME": str(_state_dir / "test.sqlite3")}
