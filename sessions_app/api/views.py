"""Owns what every REST view has in common: its methods' rights, caching, and how our errors become answers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar

from django.core.exceptions import NON_FIELD_ERRORS, RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control, patch_vary_headers
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from sessions_app.edits.bulk import BulkMoved
from sessions_app.edits.queue import SubmissionReused
from sessions_app.edits.states import EditMoved

KEY_REUSED = "This Idempotency-Key was sent before, with something else."


class RestView(APIView):
    """A view that names for each of its methods the scope a token needs and, if it differs, the permission."""

    required_scopes: ClassVar[Mapping[str, str]] = {}
    required_permissions: ClassVar[Mapping[str, str]] = {}
    # No OPTIONS: it would describe nothing that the OpenAPI document does not.
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, EditMoved | BulkMoved):
            exc = Conflict(exc.messages[0])
        elif isinstance(exc, SubmissionReused):
            exc = Conflict(KEY_REUSED)
        elif isinstance(exc, RequestDataTooBig):
            exc = TooLarge()
        elif isinstance(exc, DjangoValidationError):
            exc = ValidationError(errors_of(exc))
        return super().handle_exception(exc)

    def finalize_response(
        self, request: HttpRequest | Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[arg-type]  # as it came
        # Whether there is something new is asked by ETag; nobody between keeps an answer.
        patch_cache_control(answer, private=True, no_cache=True)
        patch_vary_headers(answer, ["Authorization", "Cookie"])
        return answer


class Conflict(APIException):
    status_code = 409
    default_detail = "This can no longer be done."
    default_code = "conflict"


class TooLarge(APIException):
    status_code = 413
    default_detail = "The body is too large."
    default_code = "too_large"


class PreconditionFailed(APIException):
    status_code = 412
    default_detail = "The session has changed since it was read. Read it again."
    default_code = "precondition_failed"


class PreconditionRequired(APIException):
    status_code = 428
    default_detail = "Send If-Match with the ETag that the session was read with, or *."
    default_code = "precondition_required"


def errors_of(error: DjangoValidationError) -> dict[str, Any]:
    """Return what was wrong, by field in snake_case."""
    if not hasattr(error, "error_dict"):
        return {"detail": error.messages}
    return {
        ("detail" if name == NON_FIELD_ERRORS else snake_case(name)): messages
        for name, messages in error.message_dict.items()
    }


# Vapi's names of the fields that can be edited, and ours.
_SNAKE_CASE = {
    "expirationSeconds": "expiration_seconds",
    "extendSeconds": "extend_seconds",
    "assistantId": "assistant_id",
    "squadId": "squad_id",
    "customerId": "customer_id",
    "phoneNumberId": "phone_number_id",
    "externalId": "external_id",
    "sipUri": "sip_uri",
}
_CAMEL_CASE = {ours: theirs for theirs, ours in _SNAKE_CASE.items()}


def snake_case(name: str) -> str:
    return _SNAKE_CASE.get(name, name)


def camel_case(name: str) -> str:
    return _CAMEL_CASE.get(name, name)


def snake_cased(values: Mapping[str, object]) -> dict[str, object]:
    """Return values by Vapi's field names under ours."""
    return {snake_case(name): value for name, value in values.items()}


def refuse_unknown(given: Mapping[str, object], known: frozenset[str], *, kind: str = "parameter") -> None:
    """400 for a parameter or field that is not known here."""
    unknown = sorted(set(given) - known)
    if unknown:
        raise ValidationError({name[:50]: [f"Unknown {kind}."] for name in unknown})


def refuse_repeated(parameters: QueryDict, names: Iterable[str]) -> None:
    """400 for a parameter that takes one value and is given several."""
    repeated = [name for name in names if len(parameters.getlist(name)) > 1]
    if repeated:
        raise ValidationError({name: ["Give this parameter once."] for name in repeated})


def refuse_unknown_organizations(slugs: Iterable[str], known: Collection[str]) -> None:
    """400 for organizations that are not here, or not for this reader."""
    unknown = sorted(set(slugs) - {*known})
    if unknown:
        raise ValidationError({"organization": [f"No such organization: {', '.join(unknown)[:200]}."]})
