"""Which address leads where."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from sessions_app.webhooks.receive import receive

handler404 = "sessions_app.api.views.not_found"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("admin/", admin.site.urls),
    path("webhooks/vapi/<str:organization>/", receive, name="webhook"),
    path("", include("sessions_app.api.urls")),
]
