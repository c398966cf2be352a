"""Owns the form of a notice in each kind of channel: bodies and headers. Sends nothing."""

from __future__ import annotations

import base64
import hmac
import time
from typing import Any

from sessions_app.models import Delivery, Notice
from sessions_app.models.notices import SECRET_PREFIX
from sessions_app.notices.words import Words, words_of
from sessions_app.vapi.json import dump_bytes

_CARD = "application/vnd.microsoft.card.adaptive"


def slack_body(notice: Notice) -> bytes:
    """Slack's incoming webhooks; Mattermost and Rocket.Chat take the same."""
    words = words_of(notice)
    lines = [f"*{_slack(words.title)}*", *(f"{label}: {_slack(value)}" for label, value in words.facts)]
    lines += [_slack(words.advice)] if words.advice else []
    return dump_bytes({"text": "\n".join([*lines, f"<{words.link}|Open>"])})


def teams_body(notice: Notice) -> bytes:
    """An Adaptive Card, as Teams' Workflows take it ("When a Teams webhook request is received").

    Runs of text, because a TextBlock would read an organization's name as Markdown.
    """
    words = words_of(notice)
    texts = [f"{label}: {value}" for label, value in words.facts] + ([words.advice] if words.advice else [])
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [_run(words.title, weight="Bolder", size="Medium"), *(_run(text) for text in texts)],
        "actions": [{"type": "Action.OpenUrl", "title": "Open", "url": words.link}],
    }
    attachment = {"contentType": _CARD, "contentUrl": None, "content": card}
    return dump_bytes({"type": "message", "attachments": [attachment]})


def webhook_body(notice: Notice) -> bytes:
    """For programs: `type`, `timestamp` and `data`, as Standard Webhooks has them."""
    words = words_of(notice)
    organization = notice.organization
    data = {
        "notice": notice.pk,
        "title": words.title,
        "url": words.link,
        "organization": organization.slug if organization else None,
        "edit": notice.edit_id,
        "bulk": notice.bulk_id,
        **notice.facts,
    }
    return dump_bytes({"type": notice.cause, "timestamp": notice.created_at.isoformat(), "data": data})


def signature_headers(
    delivery: Delivery, body: bytes, secret: str, at: float | None = None
) -> dict[str, str]:
    """Return the id, the time and the signature over both and the body (Standard Webhooks, symmetric)."""
    message_id, moment = message_id_of(delivery), str(int(time.time() if at is None else at))
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = hmac.digest(key, f"{message_id}.{moment}.".encode() + body, "sha256")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def message_id_of(delivery: Delivery) -> str:
    """The same at every attempt: a receiver that has it already drops what comes again."""
    return f"msg_{delivery.message_id.hex}"


def mail_text(words: Words) -> str:
    lines = [f"{label}: {value}" for label, value in words.facts]
    return "\n".join([*lines, "", *([words.advice, ""] if words.advice else []), words.link, ""])


def _run(text: str, **style: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **style}]}


def _slack(text: str) -> str:
    """Slack's three control characters; without this a name could mention a whole channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
