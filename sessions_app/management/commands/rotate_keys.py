"""`manage.py rotate_keys`: stored secrets encrypted anew with the first of FIELD_ENCRYPTION_KEYS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Model, TextField
from django.db.models.functions import Cast

from sessions_app.management.exits import FAILED, demand_migrated
from sessions_app.models.fields import EncryptedTextField


class Command(BaseCommand):
    help = (
        "Encrypt stored secrets with the first of FIELD_ENCRYPTION_KEYS. Put the new key first, restart, run this, "
        "then drop the old key. Nothing stands still meanwhile, and it may be repeated."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        demand_migrated()
        done, unreadable = 0, []
        for model, field in _encrypted_columns():
            for pk in model._default_manager.exclude(**{field: ""}).values_list("pk", flat=True):
                try:
                    done += _encrypt_anew(model, field, pk)
                except ValueError:
                    unreadable.append(f"{model._meta.model_name} {pk}")
        self.stdout.write(f"{done} secret{'' if done == 1 else 's'} encrypted with the first key.")
        if unreadable:
            raise CommandError(
                f"not readable with any of FIELD_ENCRYPTION_KEYS: {', '.join(unreadable)}.", returncode=FAILED
            )


def _encrypted_columns() -> Iterator[tuple[type[Model], str]]:
    for model in apps.get_app_config("sessions_app").get_models():
        for field in model._meta.get_fields():
            if isinstance(field, EncryptedTextField):
                yield model, field.name


def _encrypt_anew(model: type[Model], field: str, pk: object) -> int:
    """Only what still stands as it was read: whoever saves another secret meanwhile wins. Raises ValueError."""
    rows = model._default_manager.annotate(stored=Cast(field, TextField())).filter(pk=pk)
    found = rows.values_list("stored", field).first()
    if found is None:
        return 0
    stored, secret = found
    return rows.filter(stored=stored).update(**{field: secret})
