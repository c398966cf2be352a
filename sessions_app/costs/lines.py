"""A cost line and a reported cost as plain rows, in the columns' order, as the writer and the rollup pass them."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class LineRow(NamedTuple):
    """One row of CostLine. Dollars are whole pico-dollars, as stored."""

    id: str
    organization_id: int
    source: str
    parent_id: str
    session_id: str
    chat_id: str
    position: int
    kind: str
    analysis_type: str
    provider: str
    model: str
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_prompt_tokens: int | None
    reasoning_tokens: int | None
    cost_pico: int | None
    occurred_at: datetime
    assistant_id: str
    squad_id: str
    phone_number_id: str


class ReportedRow(NamedTuple):
    """One row of ReportedCost."""

    id: str
    organization_id: int
    source: str
    parent_id: str
    cost_pico: int | None
    occurred_at: datetime
    assistant_id: str
    squad_id: str
    phone_number_id: str
