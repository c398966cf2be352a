"""What the OpenAPI document says of every operation beside its body: what for, the scope, the errors, the headers."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from drf_spectacular.openapi import AutoSchema

from sessions_app.api.about import TAGS
from sessions_app.api.lists import COMPLETE_AS_OF, PROVEN_THROUGH, ListView

_SENTENCE = re.compile(r"(?s)\A(.+?)[.;:](?:\s|\Z)")
# Errors that a description speaks of.
_SPOKEN_OF = re.compile(r"\b(409|412|413|428)\b")
_ERRORS = {
    400: "A parameter or field is unknown or not understood: what is wrong with each, by name.",
    401: "No token, or none that is in force.",
    403: "The token lacks the scope; `detail` names it.",
    404: "There is no such row.",
}
_HEADERS = {
    COMPLETE_AS_OF: "Everything that Vapi had at this time is here. Not sent before the first full sync has ended.",
    PROVEN_THROUGH: "Each day up to this one was compared with Vapi and found equal.",
}


class RestSchema(AutoSchema):
    """Reads docstrings of views and methods: the first sentence is an operation's title."""

    def get_tags(self) -> list[str]:
        return [TAGS[self.path.split("/")[3]]]

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation is not None:
            _add_title(operation, getattr(self.view, "required_scopes", {}).get(self.method, ""))
            _add_errors(operation, has_id="{" in self.path)
            if self.method == "GET" and isinstance(self.view, ListView) and self.view.complete_streams:
                operation["responses"]["200"]["headers"] = {
                    name: {"description": words, "schema": {"type": "string"}}
                    for name, words in _HEADERS.items()
                }
        return operation


def _add_title(operation: dict[str, Any], scope: str) -> None:
    about = operation.get("description", "")
    if sentence := _SENTENCE.match(about):
        operation["summary"] = " ".join(sentence[1].split())
    if scope:
        operation["description"] = f"{about}\n\nScope: `{scope}`."


def _add_errors(operation: dict[str, Any], *, has_id: bool) -> None:
    errors = dict(_ERRORS)
    if not has_id:
        del errors[404]
    for code in map(int, _SPOKEN_OF.findall(operation.get("description", ""))):
        errors[code] = HTTPStatus(code).phrase
    for code, words in sorted(errors.items()):
        operation["responses"].setdefault(str(code), {"description": words})
