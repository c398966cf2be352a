"""The web application that gunicorn serves."""

import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vapiadmin.settings")

application = get_wsgi_application()
# Now, while no one waits: Django would read it, and all pages with it, at the first request.
import_module(settings.ROOT_URLCONF)
