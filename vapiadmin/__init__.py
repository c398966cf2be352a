"""Wiring of the project: settings, URLs, Celery. Owns no behaviour."""

from vapiadmin.celery import app as celery_app

__all__ = ["celery_app"]
