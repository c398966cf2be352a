"""Django's registration of the project's one application and of its admin site."""

from importlib import import_module

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig


class SessionsAppConfig(AppConfig):
    name = "sessions_app"
    verbose_name = "vapiadmin"


class AdminConfig(DjangoAdminConfig):
    default_site = "sessions_app.admin.site.Site"

    def ready(self) -> None:
        super().ready()
        import_module("sessions_app.admin.pages")
