"""Addresses of the REST face."""

from django.urls import URLPattern, URLResolver, include, path, re_path

from sessions_app.api import (
    bulk_decisions,
    bulk_edits,
    chats,
    cost_lines,
    costs,
    coverage,
    docs,
    edits,
    health,
    history,
    holds,
    metrics,
    nowhere,
    runs,
    session_parts,
    sessions,
)

_V1: list[URLPattern] = [
    path("sessions/", sessions.SessionList.as_view(), name="api-sessions"),
    path("sessions/<str:session_id>/", sessions.SessionDetail.as_view(), name="api-session"),
    path("sessions/<str:session_id>/refetch/", sessions.SessionRefetch.as_view(), name="api-session-refetch"),
    path("sessions/<str:session_id>/chats/", session_parts.SessionChats.as_view(), name="api-session-chats"),
    path("sessions/<str:session_id>/costs/", session_parts.SessionCosts.as_view(), name="api-session-costs"),
    path("sessions/<str:session_id>/edits/", session_parts.SessionEdits.as_view(), name="api-session-edits"),
    path("sessions/<str:session_id>/history/", history.SessionHistory.as_view(), name="api-session-history"),
    path("chats/", chats.ChatList.as_view(), name="api-chats"),
    path("chats/<str:chat_id>/", chats.ChatDetail.as_view(), name="api-chat"),
    path("costs/", cost_lines.CostLineList.as_view(), name="api-costs"),
    path("costs/summary/", costs.CostSummaryView.as_view(), name="api-costs-summary"),
    path("edits/", edits.EditList.as_view(), name="api-edits"),
    path("edits/<int:edit_id>/", edits.EditDetail.as_view(), name="api-edit"),
    path("edits/<int:edit_id>/resolve/", edits.EditResolve.as_view(), name="api-edit-resolve"),
    path("edits/<int:edit_id>/undo/", edits.EditUndo.as_view(), name="api-edit-undo"),
    path("edits/<int:edit_id>/retry/", edits.EditRetry.as_view(), name="api-edit-retry"),
    path("edits/<int:edit_id>/withdraw/", edits.EditWithdraw.as_view(), name="api-edit-withdraw"),
    path("legal-holds/", holds.LegalHoldList.as_view(), name="api-legal-holds"),
    path(
        "legal-holds/<int:hold_id>/release/",
        holds.LegalHoldRelease.as_view(),
        name="api-legal-hold-release",
    ),
    path("bulk-edits/", bulk_edits.BulkEditList.as_view(), name="api-bulk-edits"),
    path("bulk-edits/<int:bulk_id>/", bulk_edits.BulkEditDetail.as_view(), name="api-bulk-edit"),
    path("bulk-edits/<int:bulk_id>/pause/", bulk_decisions.BulkPause.as_view()),
    path("bulk-edits/<int:bulk_id>/go-on/", bulk_decisions.BulkGoOn.as_view()),
    path("bulk-edits/<int:bulk_id>/cancel/", bulk_decisions.BulkCancel.as_view()),
    path("bulk-edits/<int:bulk_id>/retry/", bulk_decisions.BulkRetry.as_view()),
    path("bulk-edits/<int:bulk_id>/undo/", bulk_decisions.BulkUndo.as_view()),
    path("bulk-edits/<int:bulk_id>/approve/", bulk_decisions.BulkApprove.as_view()),
    path("bulk-edits/<int:bulk_id>/refuse/", bulk_decisions.BulkRefuse.as_view()),
    path("coverage/", coverage.CoverageList.as_view(), name="api-coverage"),
    path("sync-runs/", runs.SyncRunList.as_view(), name="api-sync-runs"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", metrics.metrics),
    path("api/v1/", include(_V1)),
    path("api/schema/", docs.Schema.as_view(), name="api-schema"),
    path("api/docs/", docs.Docs.as_view(), name="api-docs"),
    re_path(r"^api/", nowhere.nowhere),
]
