"""Text that was typed into a field of a page that has no form class to check it."""

from __future__ import annotations

from django.http import HttpRequest

from sessions_app.vapi import make_safe


def typed_text(request: HttpRequest, name: str, longest: int) -> str:
    """Return what was typed, no longer than that, with what no database keeps replaced."""
    return make_safe(request.POST.get(name, ""))[0][:longest]
