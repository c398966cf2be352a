"""Why Vapi could not be asked, in words for the people who asked."""

from __future__ import annotations

from sessions_app.mirror.connection import NoKey
from sessions_app.mirror.refetch import Unstorable
from sessions_app.vapi.errors import Refused, Unavailable, VapiError

_UNAVAILABLE = {
    "rate_limited": "Vapi asks us to slow down",
    "server": "Vapi has trouble of its own",
    "timeout": "Vapi did not answer in time",
    "connection": "Vapi could not be reached",
    "bad_body": "Vapi's answer could not be read",
}


def explain(error: VapiError | NoKey) -> str:
    if isinstance(error, NoKey):
        return str(error)
    if isinstance(error, Unstorable):
        return " ".join(error.words)
    if isinstance(error, Unavailable):
        after = (
            f" Try again in {round(error.retry_after)} s." if error.retry_after else " Try again in a moment."
        )
        if error.words and error.status is None:
            return f"{' '.join(error.words)}{after}"
        return f"{_UNAVAILABLE.get(error.kind, 'Vapi could not be asked')}{_status(error)}.{after}"
    if isinstance(error, Refused) and error.status in (401, 403):
        return f"Vapi refused the organization's API key{_status(error)}."
    words = f" {' '.join(error.words)}" if error.words else ""
    return f"Vapi refused{_status(error)}.{words}"


def _status(error: VapiError) -> str:
    return f" ({error.status})" if error.status else ""
