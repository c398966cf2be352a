"""Addresses of the REST face."""

from django.urls import URLPattern, URLResolver, path

from sessions_app.api import health

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.healthz),
    path("readyz", health.readyz),
]
