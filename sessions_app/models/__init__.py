"""What is stored and how one asks for it. No HTTP here, and nothing computed."""

from sessions_app.models.access import ApiToken
from sessions_app.models.audit import BulkTransition, EditTransition
from sessions_app.models.bulks import BulkEdit
from sessions_app.models.chats import Chat, ChatPayload
from sessions_app.models.costs import CostLine, CostRollup, ReportedCost
from sessions_app.models.coverage import Coverage, RetentionBoundary
from sessions_app.models.drift import SchemaDrift
from sessions_app.models.edits import Edit
from sessions_app.models.forgetting import Erasure, ForgottenId, HeldSession, LegalHold
from sessions_app.models.heartbeats import Heartbeat
from sessions_app.models.history import FieldChange
from sessions_app.models.names import RemoteName
from sessions_app.models.notices import Channel, Delivery, Notice
from sessions_app.models.organizations import KeyPause, Organization, WriteModeChange
from sessions_app.models.requests import Budget, Lookup, RequestSlot, RequestTally
from sessions_app.models.runs import Lease, QuarantinedRecord, SyncRun, SyncWindow, Watermark
from sessions_app.models.search import NumberSuffix, SearchText
from sessions_app.models.sessions import Session, SessionPayload
from sessions_app.models.webhooks import WebhookEvent, WebhookSecret

__all__ = [
    "ApiToken",
    "Budget",
    "BulkEdit",
    "BulkTransition",
    "Channel",
    "Chat",
    "ChatPayload",
    "CostLine",
    "CostRollup",
    "Coverage",
    "Delivery",
    "Edit",
    "EditTransition",
    "Erasure",
    "FieldChange",
    "ForgottenId",
    "Heartbeat",
    "HeldSession",
    "KeyPause",
    "Lease",
    "LegalHold",
    "Lookup",
    "Notice",
    "NumberSuffix",
    "Organization",
    "QuarantinedRecord",
    "RemoteName",
    "ReportedCost",
    "RequestSlot",
    "RequestTally",
    "RetentionBoundary",
    "SchemaDrift",
    "SearchText",
    "Session",
    "SessionPayload",
    "SyncRun",
    "SyncWindow",
    "Watermark",
    "WebhookEvent",
    "WebhookSecret",
    "WriteModeChange",
]
