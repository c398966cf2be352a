"""How gunicorn serves: `gunicorn --config python:vapiadmin.web vapiadmin.wsgi:application`."""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vapiadmin.settings")

from django.conf import settings

from sessions_app.management.processes import die_with

bind = f"127.0.0.1:{settings.PORT}"
# Read once for all workers, which share the memory.
preload_app = True
worker_class = "gthread"
workers = 2
threads = 4
timeout = 60
graceful_timeout = 5
control_socket_disable = True

# Addresses carry what people search for: no access log.
logconfig_dict: dict[str, Any] = {
    **settings.LOGGING,
    "loggers": {
        "gunicorn.error": {"level": settings.LOG_LEVEL, "handlers": [], "propagate": True},
        "gunicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
    },
}


def post_fork(server: Any, worker: Any) -> None:
    """A worker whose server was killed would take requests for a second or two more."""
    die_with(worker.ppid)()
