"""Celery's entry points. A task carries ids and says "look now"; losing or doubling one is harmless."""

from __future__ import annotations
