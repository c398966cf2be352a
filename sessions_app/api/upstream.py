"""Owns how Vapi's refusals and absences become answers of ours."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from rest_framework.exceptions import APIException

from sessions_app.mirror.connection import NoKey
from sessions_app.mirror.refetch import Unstorable
from sessions_app.vapi.errors import Refused, Unavailable, VapiError


class VapiUnavailable(APIException):
    status_code = 503
    default_detail = "Vapi could not be asked. Nothing was changed; try again later."
    default_code = "unavailable"


class VapiRefused(APIException):
    status_code = 502
    default_detail = "Vapi refused."
    default_code = "refused"


@contextmanager
def vapi_answers() -> Iterator[None]:
    """Turn what goes wrong while Vapi is asked into 503 (with Retry-After where it is known) or 502."""
    try:
        yield
    except NoKey:
        raise VapiUnavailable("This organization has no API key.") from None
    except Unavailable as error:
        raise _unavailable(error) from None
    except Unstorable as error:
        raise VapiRefused(" ".join(error.words)) from None
    except Refused as error:
        raise VapiRefused(" ".join(["Vapi refused:", *error.words]) if error.words else None) from None
    except VapiError:
        raise VapiUnavailable from None


def _unavailable(error: Unavailable) -> VapiUnavailable:
    answer = VapiUnavailable(" ".join(error.words) if error.words and error.status is None else None)
    if error.retry_after is not None:
        answer.wait = math.ceil(error.retry_after)  # type: ignore[attr-defined]  # DRF makes Retry-After of it
    return answer
