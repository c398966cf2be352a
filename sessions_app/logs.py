"""Log lines: one JSON object each, and no message that could carry a row, a payload or a secret."""

from __future__ import annotations

import logging
from typing import Any

import structlog
from django.db import Error as DatabaseError
from structlog.typing import EventDict

from sessions_app.request_ids import current_request_id
from sessions_app.vapi.errors import describe_fault


def add_request_id(logger: object, method: str, event: EventDict) -> EventDict:
    """Name the request in which it happened, as its answer does."""
    if request_id := current_request_id():
        event["request_id"] = request_id
    return event


_SHARED: list[Any] = [
    add_request_id,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
# What a record may carry beside its message. Anything else (a request, say) could hold what must not be kept.
_EXTRA = {
    "author",
    "delivery",
    "edit",
    "kind",
    "mode",
    "organization",
    "run",
    "seen",
    "state",
    "status",
    "stream",
    "task",
}


class LineFormatter(structlog.stdlib.ProcessorFormatter):
    """Formats standard and structlog records alike, with errors reduced to what is safe to keep."""

    def __init__(self, processors: list[Any], **kwargs: Any) -> None:
        super().__init__(
            processors=processors,
            foreign_pre_chain=[*_SHARED, structlog.stdlib.ExtraAdder(allow=_EXTRA), reduce_exception],
            pass_foreign_args=True,
        )


def reduce_exception(logger: object, method: str, event: EventDict) -> EventDict:
    """Replace exc_info by the error's type and place; its message may quote a row or a body."""
    record = event.get("_record")
    exc_info = event.pop("exc_info", None) or (
        record.exc_info if isinstance(record, logging.LogRecord) else None
    )
    told = event.pop("positional_args", None)
    if isinstance(told, dict) and "exc" in told:
        # Celery's word of a failed task quotes the error's message.
        event["event"] = f"Task {told.get('name')} {told.get('description')}"
    if isinstance(exc_info, tuple) and exc_info[1] is not None:
        event["error"] = describe_error(exc_info[1])
        if isinstance(record, logging.LogRecord):
            record.exc_info = None
            record.exc_text = None
    return event


def describe_error(error: BaseException) -> str:
    """Return the type, for database errors SQLSTATE and constraint, and the innermost place. Never the message."""
    cause = error.__cause__ if isinstance(error, DatabaseError) else None
    diagnosis = getattr(cause, "diag", None)
    if diagnosis is None:
        return describe_fault(error)
    return describe_fault(error, str(diagnosis.sqlstate), str(diagnosis.constraint_name or ""))


structlog.configure(
    processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)
