"""What people may be allowed to do: all that pages and REST ask for, by the groups that a new database has."""

from __future__ import annotations

_READ = ("view_session", "view_chat", "view_edit", "view_organization", "view_coverage")
_CORRECT = ("edit_session", "refetch_session", "own_channel")
_OPERATE = (
    "view_costline",
    "export_costline",
    "view_syncrun",
    "add_syncrun",
    "view_quarantinedrecord",
    "view_schemadrift",
    "view_webhookevent",
    "replay_webhookevent",
    "view_edittransition",
    "edit_messages",
    "bulk_edit_session",
    "view_legalhold",
    "share_channel",
)
_ADMINISTER = (
    "add_organization",
    "change_organization",
    "change_write_mode",
    "erase_customer",
    "hold_sessions",
    "delete_at_vapi",
    "view_writemodechange",
    "view_apitoken",
    "add_apitoken",
    "change_apitoken",
    "view_webhooksecret",
    "add_webhooksecret",
    "change_webhooksecret",
)
_PEOPLE = ("view_user", "add_user", "change_user", "delete_user", "view_group")
SUPPORT, OPERATIONS, ADMINISTRATORS = "Support", "Operations", "Administrators"
GROUPS = {
    SUPPORT: (*_READ, *_CORRECT),
    OPERATIONS: (*_READ, *_CORRECT, *_OPERATE),
    ADMINISTRATORS: (*_READ, *_CORRECT, *_OPERATE, *_ADMINISTER, *_PEOPLE),
}
# A superuser alone has the last three, and may give them to groups of one's own.
RIGHTS = (*GROUPS[ADMINISTRATORS], "add_group", "change_group", "delete_group")
