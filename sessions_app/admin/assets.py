"""Addresses of our own style sheet and script, for Unfold's settings."""

from __future__ import annotations

from django.http import HttpRequest
from django.templatetags.static import static


def stylesheet(request: HttpRequest) -> str:
    return static("vapiadmin/vapiadmin.css")


def script(request: HttpRequest) -> str:
    return static("vapiadmin/vapiadmin.js")


def keys_script(request: HttpRequest) -> str:
    return static("vapiadmin/keys.js")


def conversation_script(request: HttpRequest) -> str:
    return static("vapiadmin/conversation.js")


def said_script(request: HttpRequest) -> str:
    return static("vapiadmin/said.js")


def edits_stylesheet(request: HttpRequest) -> str:
    return static("vapiadmin/edits.css")


def freshness_stylesheet(request: HttpRequest) -> str:
    return static("vapiadmin/freshness.css")


def notices_stylesheet(request: HttpRequest) -> str:
    return static("vapiadmin/notices.css")


def history_stylesheet(request: HttpRequest) -> str:
    return static("vapiadmin/history.css")
