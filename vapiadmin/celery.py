"""The Celery application."""

import logging
import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, celeryd_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vapiadmin.settings")

app = Celery("vapiadmin")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@celeryd_init.connect
@beat_init.connect
def _log_warnings(**kwargs: Any) -> None:
    """Python's warnings become log lines like everything else that these processes say."""
    logging.captureWarnings(True)
