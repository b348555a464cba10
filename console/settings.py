"""Settings, read from the environment; a missing one stops the start rather than being guessed.

Every variable starts with ``CAUSEWAY_`` except ``DATABASE_URL``. Without ``CAUSEWAY_DEBUG=1`` there is no default for
``CAUSEWAY_SECRET_KEY``, ``CAUSEWAY_ALLOWED_HOSTS`` and ``CAUSEWAY_PUBLIC_URL``: start-up fails and says what to set.
"""

import logging
import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit

import dj_database_url
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from environs import Env, EnvError, validate

BASE_DIR = Path(__file__).resolve().parent.parent
# Pages and assets lie beside the apps in a checkout, and inside this package when it is installed.
DATA_DIR = BASE_DIR if (BASE_DIR / "templates").is_dir() else BASE_DIR / "console" / "_data"
env = Env(prefix="CAUSEWAY_")


def required(name: str, hint: str, *, debug_default: str) -> str:
    """Return the variable's value, or its default under DEBUG; otherwise the start fails and names the fix."""
    value = env.str(name, default=debug_default if DEBUG else "")
    if not value:
        raise ImproperlyConfigured(f"CAUSEWAY_{name} is not set. {hint}")
    return value


try:
    DEBUG = env.bool("DEBUG", default=False)
    # Settings of Causeway itself, beside Django's.
    SESSION_TOKEN_LIFETIME = timedelta(seconds=env.int("SESSION_SECONDS", default=24 * 3600))
    SESSIONS_PER_ACCOUNT = max(1, env.int("SESSIONS_PER_ACCOUNT", default=5))
    GATEWAY_OFFLINE_SECONDS = env.int("GATEWAY_OFFLINE_SECONDS", default=24 * 3600)
    CERTIFICATE_LIFETIME = timedelta(hours=env.int("CERTIFICATE_HOURS", default=7 * 24))
    ENROLLMENT_CODE_LIFETIME = timedelta(seconds=env.int("ENROLLMENT_CODE_SECONDS", default=3600))
    INSTANCE_CIDR_LIMIT = env.int("INSTANCE_CIDR_LIMIT", default=5)
    BANDWIDTH_MAX_KBPS = env.int("BANDWIDTH_MAX_KBPS", default=20_000)
    TELEMETRY_INTERVAL = env.int("TELEMETRY_INTERVAL", default=2)
    # Fair shares: of a server, a gateway, a client account, an address. Each process of the console counts for itself.
    SERVER_LINE_GBPS = env.float("SERVER_LINE_GBPS", default=100.0)
    TELEMETRY_CALLS_PER_MINUTE = env.int("TELEMETRY_CALLS_PER_MINUTE", default=120)
    TELEMETRY_SAMPLES_PER_MINUTE = env.int("TELEMETRY_SAMPLES_PER_MINUTE", default=10_000)
    TELEMETRY_TOLERANCE_PERCENT = env.int("TELEMETRY_TOLERANCE_PERCENT", default=50)
    FLOW_RECORDS_PER_MINUTE = env.int("FLOW_RECORDS_PER_MINUTE", default=300_000)
    LOGONS_PER_MINUTE = env.int("LOGONS_PER_MINUTE", default=30)
    ENROLLMENT_FAILURES_PER_MINUTE = env.int("ENROLLMENT_FAILURES_PER_MINUTE", default=30)
    RAW_SAMPLE_RETENTION = timedelta(hours=env.int("RAW_SAMPLE_HOURS", default=48))
    # Compression when static files are collected: 15 s for the charts' library, worth it if a network is between.
    STATIC_COMPRESSED = env.bool("STATIC_COMPRESSED", default=True)
    # Seconds that a server's new version may take to become healthy before the server goes back by itself.
    UPGRADE_HEALTH_SECONDS = env.int("UPGRADE_HEALTH_SECONDS", default=90)
    LOGS_KEPT = timedelta(seconds=env.int("LOGS_KEPT_SECONDS", default=3600))
    LOGS_LARGEST_BYTES = env.int("LOGS_LARGEST_MIB", default=32) * 2**20
    LOGS_STORED_BYTES = env.int("LOGS_STORED_MIB", default=256) * 2**20
    # Each takes 100 MiB: this many times that is what passwords may cost a process of the console.
    PASSWORD_HASHES_AT_ONCE = max(
        1, env.int("PASSWORD_HASHES_AT_ONCE", default=min(4, (os.cpu_count() or 1) // 2))
    )
    LOGON_FAILURE_LIMIT = env.int("LOGON_FAILURE_LIMIT", default=10)
    LOGON_LOCKOUT = timedelta(seconds=env.int("LOGON_LOCKOUT_SECONDS", default=300))
    SECURE_SSL_REDIRECT = env.bool("HTTPS_ONLY", default=not DEBUG)
    LOG_LEVEL = env.log_level("LOG_LEVEL", default=logging.INFO)
    ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"] if DEBUG else [])
    PUSH_ALLOW_PRIVATE = env.bool("PUSH_ALLOW_PRIVATE", default=False)
    PUSH_GIVE_UP = timedelta(days=env.int("PUSH_GIVE_UP_DAYS", default=3))
    METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
    # The first key seals, the others and the secret key open (console.core.sealed).
    SEALING_KEYS: list[str] = env.list("SEALING_KEYS", default=[])
    SECRET_KEY_FALLBACKS: list[str] = env.list("SECRET_KEY_FALLBACKS", default=[])
    TRUSTED_PROXY = env.bool("TRUSTED_PROXY", default=False)
    TLS_CERTIFICATE, TLS_KEY = env.str("TLS_CERTIFICATE", default=""), env.str("TLS_KEY", default="")
    # CA of the certificate under which the console is reached, where machines' own stores may lack the CA.
    TLS_CA = env.str("TLS_CA", default="")
    LISTEN_HOST, LISTEN_PORT = (
        env.str("LISTEN_HOST", default="127.0.0.1"),
        env.int("LISTEN_PORT", default=8000),
    )
    CONNECTIONS_PER_ADDRESS = max(1, env.int("CONNECTIONS_PER_ADDRESS", default=300))
    AUDIT_KEYS: list[str] = list(filter(None, env.list("AUDIT_KEY", default=[])))
    # Zero: for ever.
    AUDIT_KEPT = timedelta(days=max(0, env.int("AUDIT_KEPT_DAYS", default=0)))
    AUDIT_HEAD_PUSHED = env.bool("AUDIT_HEAD_PUSHED", default=False)
    # Of whom a second factor is demanded: off (of nobody), administrators, all.
    SECOND_FACTOR = env.str(
        "SECOND_FACTOR", default="off", validate=validate.OneOf(["off", "administrators", "all"])
    )
    # OpenID Connect: log-in by a provider of yours (console.core.openid); without an issuer there is none.
    OPENID_ISSUER = env.str("OPENID_ISSUER", default="").rstrip("/")
    OPENID_CLIENT_ID = env.str("OPENID_CLIENT_ID", default="")
    OPENID_CLIENT_SECRET = env.str("OPENID_CLIENT_SECRET", default="")
    OPENID_NAME = env.str("OPENID_NAME", default="OpenID Connect")
    OPENID_SCOPES = env.str("OPENID_SCOPES", default="openid profile email")
    OPENID_GROUPS_CLAIM = env.str("OPENID_GROUPS_CLAIM", default="groups")
    OPENID_ROLES: dict[str, str] = env.dict("OPENID_ROLES", default={})
except EnvError as error:
    raise ImproperlyConfigured(str(error)) from error

SECRET_KEY = required(
    "SECRET_KEY",
    "Make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(50))'",
    debug_default="insecure-for-debug-only-" + "0" * 40,
)
if any(len(key) < 32 for key in SEALING_KEYS):
    raise ImproperlyConfigured(
        "CAUSEWAY_SEALING_KEYS must be keys of at least 32 characters each, separated by commas."
    )
PUBLIC_URL = required(
    "PUBLIC_URL",
    "Give the address under which browsers, gateways and servers reach the console, such as https://console.example.com.",
    debug_default="http://127.0.0.1:8000",
).rstrip("/")
if not ALLOWED_HOSTS:
    raise ImproperlyConfigured(
        "CAUSEWAY_ALLOWED_HOSTS is not set. Give the console's host names, comma-separated."
    )

if any(len(key) < 32 for key in AUDIT_KEYS):
    raise ImproperlyConfigured(
        "CAUSEWAY_AUDIT_KEY has a key of fewer than 32 characters. "
        "Make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(50))'"
    )

if OPENID_ISSUER and not (OPENID_CLIENT_ID and OPENID_CLIENT_SECRET and OPENID_ROLES):
    raise ImproperlyConfigured(
        "CAUSEWAY_OPENID_ISSUER also needs CAUSEWAY_OPENID_CLIENT_ID, CAUSEWAY_OPENID_CLIENT_SECRET and "
        "CAUSEWAY_OPENID_ROLES, such as network-admins=administrator,network=operator."
    )
if OPENID_ISSUER and urlsplit(OPENID_ISSUER).scheme != "https" and not DEBUG:
    raise ImproperlyConfigured("CAUSEWAY_OPENID_ISSUER must begin with https://.")
if set(OPENID_ROLES.values()) - {"viewer", "operator", "administrator"}:
    raise ImproperlyConfigured(
        "CAUSEWAY_OPENID_ROLES must give groups the role viewer, operator or administrator."
    )

STATE_DIR = Path(env.str("STATE_DIR", default=str(BASE_DIR / "var")))
# Folder of the file that knows what this host gave out last (console.machines.stamp); None for no such file.
EPOCH_STAMPS: Path | None = STATE_DIR
WHEEL_DIR = Path(env.str("WHEEL_DIR", default=str(STATE_DIR / "wheel")))

INSTALLED_APPS = [
    "console",
    "roaming",
    "connectors",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "template_partials",
    "axes",
    "csp",
]

MIDDLEWARE = [
    "console.edge_api.admission.AdmissionMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "console.middleware.StoredNowhereMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "console.core.access.LoginMiddleware",
    "console.core.zones.ZoneMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "console.core.address.AddressMiddleware",
    "console.middleware.RefusalMiddleware",
    "axes.middleware.AxesMiddleware",
    "console.kit.submissions.SubmissionMiddleware",
]

ROOT_URLCONF = "console.urls"
WSGI_APPLICATION = "console.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [DATA_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "console.kit.context_processors.shell",
            ],
            "builtins": ["console.templatetags.causeway", "template_partials.templatetags.partials"],
        },
    }
]
FORM_RENDERER = "console.kit.web.FormRenderer"

DATABASES = {
    "default": dj_database_url.config(
        default=f"sqlite:///{quote(str(STATE_DIR / 'causeway.sqlite3'))}",
        conn_max_age=600,
        conn_health_checks=True,
    )
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Mode IMMEDIATE: a writer waits at BEGIN instead of failing later when its read lock cannot be raised.
    DATABASES["default"].setdefault("OPTIONS", {}).update(
        transaction_mode="IMMEDIATE",
        timeout=20,
        init_command="PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    )
elif DATABASES["default"]["ENGINE"].endswith("postgresql"):
    # Queries not compiled: that takes PostgreSQL longer than any runs, half a second instead of 0.2 s for a roll-up.
    # Costs of data that lies in memory: the few rows of a page are looked up, no table is gone through for them.
    # Limits in seconds: a database that vanished without a word is given up, and those who wait for it are told so.
    DATABASES["default"]["OPTIONS"] = {
        "options": "-c jit=off -c random_page_cost=1.1",
        "connect_timeout": 3,
        "tcp_user_timeout": 5000,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        **DATABASES["default"].get("OPTIONS", {}),
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "console.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = [
    "console.core.hashing.Argon2",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
CSRF_FAILURE_VIEW = "console.pages.errors.csrf_failure"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "registration/locked_out.html"
AXES_HTTP_RESPONSE_CODE = 429
AXES_VERBOSE = False
AXES_CLIENT_IP_CALLABLE = "console.core.address.client_address"
# Records of log-ins are shown by read-only pages of our own (console.core.admin).
AXES_ENABLE_ADMIN = False

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(STATE_DIR / "static")))
STATICFILES_DIRS = [DATA_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "console.kit.static_files.PlotlyFinder",
]
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_AUTOREFRESH = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if STATIC_COMPRESSED
        else "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
    },
}

# Strictest policy. Pages with a chart allow one more source (console.kit.web.with_charts).
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
HTTPS = urlsplit(PUBLIC_URL).scheme == "https"
# How an app calls the console beside the user's name.
SECOND_FACTOR_ISSUER = f"Causeway {urlsplit(PUBLIC_URL).hostname or ''}".strip()
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS or (not DEBUG and SECURE_SSL_REDIRECT)
SESSION_COOKIE_AGE = 12 * 3600
SESSION_ENGINE = "console.core.sessions"
SECURE_HSTS_SECONDS = 31536000 if SECURE_SSL_REDIRECT else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE_SSL_REDIRECT
SECURE_REFERRER_POLICY = "same-origin"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXY else None
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 2**20
EMAIL_HOST = env.str("MAIL_HOST", default="localhost")
EMAIL_PORT = env.int("MAIL_PORT", default=25)
EMAIL_HOST_USER = env.str("MAIL_USER", default="")
EMAIL_HOST_PASSWORD = env.str("MAIL_PASSWORD", default="")
EMAIL_USE_TLS = env.bool("MAIL_STARTTLS", default=False)
EMAIL_USE_SSL = env.bool("MAIL_TLS", default=False)
if EMAIL_USE_TLS and EMAIL_USE_SSL:
    raise ImproperlyConfigured(
        "CAUSEWAY_MAIL_STARTTLS and CAUSEWAY_MAIL_TLS exclude each other: TLS begins after a greeting (STARTTLS, "
        "mostly port 587) or at once (TLS, mostly port 465)."
    )
EMAIL_BACKEND = "console.core.smtp.EmailBackend"
# Seconds for the mail server, short because somebody waits for the page.
EMAIL_TIMEOUT = env.int("MAIL_TIMEOUT", default=10)
DEFAULT_FROM_EMAIL = env.str("MAIL_FROM", default="causeway@localhost")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "filters": {
        "without tokens": {"()": "console.core.log_filter.WithoutTokens"},
        "without tracebacks": {"()": "console.core.log_filter.WithoutTracebacks"},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["without tokens", "without tracebacks"],
        }
    },
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {"axes": {"level": "WARNING"}, "httpx": {"level": "WARNING"}},
}
