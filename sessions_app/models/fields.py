"""Column types of our own: exact dollars and encrypted text."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import FieldError, ValidationError
from django.db import models
from django.db.models.expressions import CombinedExpression

PICO = 12
PICO_PER_USD = Decimal(10) ** PICO
# Of one digit: multiplying by it is exact, and much quicker than scaleb.
_ONE_AS_PICO = Decimal((0, (1,), PICO))
MAX_USD = Decimal(10) ** 6 - Decimal(1) / PICO_PER_USD
_INEXACT = (models.Avg, models.StdDev, models.Variance, CombinedExpression)


if TYPE_CHECKING:
    _DollarField = models.Field[Decimal | str | int | None, Decimal | None]
    _TextField = models.TextField[str, str]
else:  # Django's fields take no type arguments at run time.
    _DollarField = models.Field
    _TextField = models.TextField


class UsdField(_DollarField):
    """US dollars as Decimal, stored as a BIGINT of pico-dollars (1e-12 USD), exact on every database.

    18 digits, 12 of them decimal places. Sum, Min, Max and Count work; averages and arithmetic in the
    database would be wrong by 1e12 without a word, so reading one raises FieldError.
    """

    description = "US dollars, exact to 1e-12"

    def get_internal_type(self) -> str:
        return "BigIntegerField"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Decimal | None:
        if isinstance(expression, _INEXACT):
            raise FieldError(f"{type(expression).__name__} over dollars is not exact: do it in Python.")
        return None if value is None else Decimal(int(value)).scaleb(-PICO)

    def to_python(self, value: Any) -> Decimal | None:
        if value is None or isinstance(value, Decimal):
            return value
        try:
            return Decimal(str(value).strip())
        except InvalidOperation:
            raise ValidationError("Enter an amount in dollars, for example 0.25.") from None

    def get_prep_value(self, value: Any) -> int | None:
        if hasattr(value, "resolve_expression"):
            return value  # type: ignore[no-any-return]  # an expression, prepared by the compiler
        dollars = self.to_python(value)
        return None if dollars is None else to_pico(dollars)

    def value_to_string(self, obj: models.Model) -> str:
        value = self.value_from_object(obj)
        return "" if value is None else f"{value:f}"


def to_pico(dollars: Decimal) -> int:
    """Return `dollars` in units of 1e-12 USD, rounded half-even; ValidationError beyond 18 digits."""
    if not dollars.is_finite() or abs(dollars) > MAX_USD:
        raise ValidationError("An amount must lie between -999999.999999999999 and 999999.999999999999.")
    return int((dollars * _ONE_AS_PICO).to_integral_value(ROUND_HALF_EVEN))


class EncryptedTextField(_TextField):
    """Text encrypted at rest with FIELD_ENCRYPTION_KEYS: the first key writes, all of them read."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> str | None:
        if not value:
            return value  # type: ignore[no-any-return]  # '' or None, as stored
        try:
            return _fernet().decrypt(value.encode()).decode()
        except InvalidToken:
            raise ValueError("A stored secret cannot be read with any of FIELD_ENCRYPTION_KEYS.") from None

    def get_prep_value(self, value: Any) -> Any:
        return _fernet().encrypt(str(value).encode()).decode() if value else value


def _fernet() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.FIELD_ENCRYPTION_KEYS])
