"""What is stored and how one asks for it. No HTTP here, and nothing computed."""

from sessions_app.models.access import ApiToken
from sessions_app.models.chats import Chat, ChatPayload
from sessions_app.models.costs import CostLine, CostRollup, ReportedCost
from sessions_app.models.edits import Edit
from sessions_app.models.heartbeats import Heartbeat
from sessions_app.models.names import RemoteName
from sessions_app.models.organizations import Organization, WriteModeChange
from sessions_app.models.runs import Lease, QuarantinedRecord, SyncRun, SyncWindow, Watermark
from sessions_app.models.search import NumberSuffix, SearchText
from sessions_app.models.sessions import Session, SessionPayload

__all__ = [
    "ApiToken",
    "Chat",
    "ChatPayload",
    "CostLine",
    "CostRollup",
    "Edit",
    "Heartbeat",
    "Lease",
    "NumberSuffix",
    "Organization",
    "QuarantinedRecord",
    "RemoteName",
    "ReportedCost",
    "SearchText",
    "Session",
    "SessionPayload",
    "SyncRun",
    "SyncWindow",
    "Watermark",
    "WriteModeChange",
]
