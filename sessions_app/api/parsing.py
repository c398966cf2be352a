"""Owns how a body becomes values: JSON of which a database can hold every text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import JSONParser

from sessions_app.vapi import make_safe


class StorableJSONParser(JSONParser):
    """JSON. 400, by field, where a name or a text holds NUL or half a surrogate pair."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            body = super().parse(stream, media_type, parser_context)
            _refuse_unstorable(body)
        except RecursionError:
            raise ParseError("The body is too deep.") from None
        return body


def _refuse_unstorable(body: object) -> None:
    fields = body if isinstance(body, dict) else {"detail": body}
    unstorable = [name for name, value in fields.items() if make_safe([name, value])[1]]
    if unstorable:
        words = ["Characters that cannot be stored: NUL or half a surrogate pair."]
        raise ValidationError({make_safe(name)[0][:50]: words for name in unstorable})
