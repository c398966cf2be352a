"""All settings, from the environment. `.env.example` says what each variable means."""

from __future__ import annotations

import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
from celery.schedules import crontab
from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.templatetags.static import static
from django.urls import reverse_lazy

from sessions_app.api import about
from vapiadmin.environment import (
    database,
    encryption_keys,
    host_names,
    key_from_file,
    log_level,
    mail_server,
    make_encryption_key,
    make_secret_key,
    port_number,
    read_environment,
    stop,
    time_zone,
    web_address,
)
from vapiadmin.navigation import SIDEBAR

BASE_DIR = Path(__file__).resolve().parent.parent
env = read_environment(BASE_DIR)

# A machine of one's own: keys are made under var/, static files are served from where they are.
# Django's DEBUG stays off even there: its error pages and its query log would hold customers' words.
DEVELOPMENT = env.bool("DEBUG", True)
DEBUG = False

VAR_DIR = Path(env.str("VAR_DIR", str(BASE_DIR / "var"))).resolve()
PORT = port_number(env, "PORT", 8000)
PUBLIC_URL = web_address(env, "PUBLIC_URL", f"http://127.0.0.1:{PORT}")

if DEVELOPMENT:
    SECRET_KEY = env.str("SECRET_KEY", "") or key_from_file(VAR_DIR / "secret_key", make_secret_key)
    _encryption_keys = env.str("FIELD_ENCRYPTION_KEYS", "") or key_from_file(
        VAR_DIR / "field_encryption_keys", make_encryption_key
    )
else:
    SECRET_KEY = env.str("SECRET_KEY", "") or stop("set SECRET_KEY (or DEBUG=on on a machine of your own).")
    _encryption_keys = env.str("FIELD_ENCRYPTION_KEYS", "") or stop(
        "set FIELD_ENCRYPTION_KEYS (or DEBUG=on on a machine of your own)."
    )
FIELD_ENCRYPTION_KEYS = encryption_keys(_encryption_keys)

_public = urlsplit(PUBLIC_URL)
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=sorted({_public.hostname or "", "127.0.0.1", "localhost", "[::1]"})
)
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[f"{_public.scheme}://{_public.netloc}"])
SECURE = _public.scheme == "https"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SECURE else None
SESSION_COOKIE_HTTPONLY = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# --- Vapi -----------------------------------------------------------------------------------------
VAPI_API_KEY = env.str("VAPI_API_KEY", "")
VAPI_BASE_URL = web_address(env, "VAPI_BASE_URL", "https://api.vapi.ai")
# Vapi's server messages to the organization `default` carry it: as a bearer token, as X-Vapi-Secret or as HMAC key.
VAPI_WEBHOOK_SECRET = env.str("VAPI_WEBHOOK_SECRET", "")
# The demo: no key and no database of one's own. It has a database file to itself, so that simulated
# and real rows never meet.
DEMO = not VAPI_API_KEY and not env.str("DATABASE_URL", "")

# --- Database -------------------------------------------------------------------------------------
DATABASE_URL = env.str("DATABASE_URL", "") or f"sqlite:///{VAR_DIR}/{'demo' if DEMO else 'vapiadmin'}.sqlite3"


def _database(url: str) -> dict[str, Any]:
    found = database(env, url)
    options = found.setdefault("OPTIONS", {})
    if found["ENGINE"].endswith("sqlite3"):
        # WAL lets people read while a sync writes; IMMEDIATE takes the write lock at once, so that two
        # writers wait for each other where a deferred transaction would fail half-way.
        options.setdefault("transaction_mode", "IMMEDIATE")
        options.setdefault("timeout", 30)
        options.setdefault("init_command", "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;")
    else:
        found.setdefault("CONN_MAX_AGE", 60)
        found["CONN_HEALTH_CHECKS"] = True
    return found


DATABASES = {"default": _database(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Applications ---------------------------------------------------------------------------------
INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "sessions_app.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_filters",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "axes",
    "csp",
    "sessions_app.apps.SessionsAppConfig",
]
MIDDLEWARE = [
    "sessions_app.request_ids.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "axes.middleware.AxesMiddleware",
    "sessions_app.addresses.AddressMiddleware",
    "sessions_app.admin.presence.PresenceMiddleware",
]
ROOT_URLCONF = "vapiadmin.urls"
WSGI_APPLICATION = "vapiadmin.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# --- People ---------------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "admin:login"
# The first page that a person may open.
LOGIN_REDIRECT_URL = "admin:index"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "registration/locked_out.html"
AXES_VERBOSE = False

# --- Language and time ----------------------------------------------------------------------------
LANGUAGE_CODE = "en"
TIME_ZONE = time_zone(env, "TIME_ZONE", "UTC")
USE_TZ = True

# --- Static files ---------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEVELOPMENT
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = DEVELOPMENT
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        # Alpine, which Unfold ships, evaluates its attributes; Unfold writes inline styles.
        "script-src": [SELF, UNSAFE_EVAL],
        "style-src": [SELF, UNSAFE_INLINE],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
    }
}

# --- Celery ---------------------------------------------------------------------------------------


def _embedded_broker() -> str:
    # A unix socket's path may have 107 bytes at most.
    socket = VAR_DIR / "redis.sock"
    if len(str(socket).encode()) > 100:
        socket = Path(tempfile.gettempdir()) / f"vapiadmin-{sha256(bytes(VAR_DIR)).hexdigest()[:16]}.sock"
    return f"redis+socket://{socket}"


EMBEDDED_BROKER = not env.str("CELERY_BROKER_URL", "")
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", "") or _embedded_broker()
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = (
    # Redis gives a killed worker's task to another one after this time, and only with all three set.
    {"visibility_timeout": 300, "unacked_restore_interval": 10, "unacked_restore_throttle": 10}
    if CELERY_BROKER_URL.startswith(("redis", "rediss"))
    else {}
)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = TIME_ZONE
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULER = "sessions_app.heartbeats:BeatingScheduler"
# Tasks only say "look now"; what is due stands in the database. A message that waited longer than its
# period is dropped, so that a long stop leaves no pile of them.
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "sessions_app.tasks.sweep", "schedule": 15.0, "options": {"expires": 15}},
    "heads": {"task": "sessions_app.tasks.sweep_heads", "schedule": 12.0, "options": {"expires": 12}},
    "sync": {"task": "sessions_app.tasks.sync_all", "schedule": 60.0, "options": {"expires": 60}},
    "sync-names": {"task": "sessions_app.tasks.sync_names", "schedule": 600.0, "options": {"expires": 600}},
    "reconcile": {
        "task": "sessions_app.tasks.reconcile_all",
        "schedule": crontab(hour="2", minute="20"),
        "options": {"expires": 3600},
    },
    "prune": {
        "task": "sessions_app.tasks.prune",
        "schedule": crontab(hour="4", minute="10"),
        "options": {"expires": 3600},
    },
}

# --- REST -----------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "sessions_app.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["sessions_app.api.permissions.ScopePermission"],
    "DEFAULT_RENDERER_CLASSES": ["sessions_app.api.rendering.ExactJSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["sessions_app.api.parsing.StorableJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "sessions_app.api.openapi.RestSchema",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "vapiadmin",
    "DESCRIPTION": about.DESCRIPTION,
    "TAGS": [{"name": name} for name in dict.fromkeys(about.TAGS.values())],
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# --- Cache ----------------------------------------------------------------------------------------
CACHES = {"default": env.cache_url("CACHE_URL", default="locmemcache://")}

# --- Notices --------------------------------------------------------------------------------------
EMAIL_IS_SET_UP = bool(env.str("EMAIL_URL", ""))
_mail = mail_server(env, "EMAIL_URL")
EMAIL_BACKEND = _mail["EMAIL_BACKEND"]
EMAIL_HOST, EMAIL_PORT = _mail["EMAIL_HOST"] or "", _mail["EMAIL_PORT"] or 25
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail["EMAIL_HOST_USER"] or "", _mail["EMAIL_HOST_PASSWORD"] or ""
EMAIL_USE_TLS, EMAIL_USE_SSL = _mail.get("EMAIL_USE_TLS", False), _mail.get("EMAIL_USE_SSL", False)
EMAIL_FILE_PATH = _mail["EMAIL_FILE_PATH"] or None
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", "") or f"vapiadmin@{_public.hostname}"
# Hosts inside one's own network that a webhook may be sent to; any other private address is refused.
NOTICE_PRIVATE_HOSTS = host_names(env, "NOTICE_PRIVATE_HOSTS")

# --- Logs: one JSON object a line, never a payload, a customer's word or a secret ------------------
LOG_LEVEL = log_level(env, "LOG_LEVEL", "INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "lines": {
            "()": "sessions_app.logs.LineFormatter",
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {"django.server": {"handlers": ["stderr"], "propagate": False}},
}

# --- Unfold ---------------------------------------------------------------------------------------
UNFOLD = {
    "SITE_TITLE": "vapiadmin",
    "SITE_HEADER": "vapiadmin",
    "SITE_SYMBOL": "forum",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("vapiadmin/favicon.svg")}
    ],
    # No way out of the admin: it is the site.
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": [
        "sessions_app.admin.assets.stylesheet",
        "sessions_app.admin.assets.edits_stylesheet",
        "sessions_app.admin.assets.history_stylesheet",
        "sessions_app.admin.assets.freshness_stylesheet",
        "sessions_app.admin.assets.notices_stylesheet",
    ],
    "SCRIPTS": [
        "sessions_app.admin.assets.script",
        "sessions_app.admin.assets.keys_script",
        "sessions_app.admin.assets.conversation_script",
        "sessions_app.admin.assets.said_script",
    ],
    "LOGIN": {"redirect_after": reverse_lazy(LOGIN_REDIRECT_URL)},
    "COLORS": {
        "primary": {
            "50": "oklch(97.5% .017 190)",
            "100": "oklch(94.5% .04 190)",
            "200": "oklch(89% .075 190)",
            "300": "oklch(81% .105 190)",
            "400": "oklch(71% .115 190)",
            "500": "oklch(60% .105 190)",
            "600": "oklch(51% .09 190)",
            "700": "oklch(44% .078 190)",
            "800": "oklch(38% .065 190)",
            "900": "oklch(33% .055 190)",
            "950": "oklch(24% .042 190)",
        }
    },
    "SIDEBAR": SIDEBAR,
}
