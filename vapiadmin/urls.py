"""Which address leads where."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from sessions_app.webhooks.receive import receive
from sessions_app.webhooks.tokens import give_token

handler400 = "sessions_app.api.nowhere.not_understood"
handler404 = "sessions_app.api.nowhere.not_found"
handler500 = "sessions_app.api.nowhere.failed"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("admin/", admin.site.urls),
    path("webhooks/vapi/<str:organization>/", receive, name="webhook"),
    path("webhooks/vapi/<str:organization>/token/", give_token, name="webhook_token"),
    path("", include("sessions_app.api.urls")),
]
