"""The sidebar of every page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.urls import reverse_lazy


def _may(permission: str) -> Callable[[HttpRequest], bool]:
    return lambda request: request.user.has_perm(f"sessions_app.{permission}")


def _item(title: str, icon: str, url_name: str, permission: str) -> dict[str, Any]:
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{url_name}"),
        "permission": _may(permission),
    }


SIDEBAR = {
    "show_search": False,
    "show_all_applications": False,
    "navigation": [
        {
            "title": "Conversations",
            "items": [
                _item("Sessions", "forum", "sessions_app_session_changelist", "view_session"),
                _item("Chats", "chat", "sessions_app_chat_changelist", "view_chat"),
                _item("Edits", "edit_note", "sessions_app_edit_changelist", "view_edit"),
                {
                    **_item("Bulk edits", "checklist", "sessions_app_bulkedit_changelist", "view_edit"),
                    # How many wait for whoever looks.
                    "badge": "sessions_app.admin.bulk.count_waiting",
                },
                _item("Audit", "history", "sessions_app_edittransition_changelist", "view_edittransition"),
            ],
        },
        {
            "title": "Costs",
            "items": [
                _item("Costs", "payments", "costs", "view_costline"),
                _item("Cost lines", "receipt_long", "sessions_app_costline_changelist", "view_costline"),
            ],
        },
        {
            "title": "Mirror",
            "items": [
                _item("Coverage", "verified", "coverage", "view_coverage"),
                _item("Freshness", "update", "freshness", "view_session"),
                _item("Sync runs", "sync", "sessions_app_syncrun_changelist", "view_syncrun"),
                _item(
                    "Quarantine",
                    "report",
                    "sessions_app_quarantinedrecord_changelist",
                    "view_quarantinedrecord",
                ),
                _item("Schema drift", "schema", "sessions_app_schemadrift_changelist", "view_schemadrift"),
                _item(
                    "Webhook events", "webhook", "sessions_app_webhookevent_changelist", "view_webhookevent"
                ),
                _item("Requests to Vapi", "speed", "requests", "view_syncrun"),
                _item("Organizations", "domain", "sessions_app_organization_changelist", "view_organization"),
            ],
        },
        {
            "title": "Access",
            "items": [
                _item("Legal holds", "gavel", "sessions_app_legalhold_changelist", "view_legalhold"),
                _item("Erasures", "person_off", "erasures", "erase_customer"),
                {
                    "title": "Notices",
                    "icon": "notifications",
                    "link": reverse_lazy("admin:notices"),
                    "permission": lambda request: any(
                        request.user.has_perm(f"sessions_app.{right}")
                        for right in ("own_channel", "share_channel")
                    ),
                },
                _item("API tokens", "key", "sessions_app_apitoken_changelist", "view_apitoken"),
                {
                    "title": "People",
                    "icon": "group",
                    "link": reverse_lazy("admin:auth_user_changelist"),
                    "permission": lambda request: request.user.has_perm("auth.view_user"),
                },
                {
                    "title": "Groups",
                    "icon": "badge",
                    "link": reverse_lazy("admin:auth_group_changelist"),
                    "permission": lambda request: request.user.has_perm("auth.view_group"),
                },
                {
                    "title": "REST documentation",
                    "icon": "api",
                    "link": reverse_lazy("api-docs"),
                },
            ],
        },
    ],
}
