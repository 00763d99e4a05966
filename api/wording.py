"""Shapes of values that every dialect takes: what they look like, for its document and for its validator.

Patterns that the domain checks with a better sentence are only documented here.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints, WithJsonSchema

from domain.identifiers import GPR_NAME_LENGTH_MAX, NAME_LENGTH_MAX
from domain.priority import PRIORITY_MAX

NAMES_MAX: Final = 64
"""Of each kind in one request: clusters, namespaces."""
_NAME: Final = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"
_PRINCIPAL: Final = r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?|[A-Za-z0-9._+=-]{1,100}@[A-Za-z0-9._+=-]{1,100})$"
_NAMESPACE: Final = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
_UNITS: Final = r"([0-9]{1,2}d)?([0-9]{1,3}h)?([0-9]{1,4}m)?([0-9]{1,5}s)?$"
_AMOUNT: Final = r"^[0-9]{1,8}(\.[0-9]{1,4})?$"
_DURATION: Final = rf"^(?=[0-9smhd]*[1-9]){_UNITS}"


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain the character NUL")
    return text


def _whole(value: Any) -> Any:
    """JSON knows one kind of number: 3.0 is the integer 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _amount(text: Any) -> Any:
    """Text, because JSON's numbers are no money; and plain, because a decimal has many spellings."""
    if not isinstance(text, str) or not re.fullmatch(_AMOUNT, text):
        raise ValueError("must be an amount as a string, as in '2.50': at most 8 digits, and 4 behind the point")
    return text


def _documented(pattern: str, length_max: int) -> Any:
    return Field(json_schema_extra={"pattern": pattern, "maxLength": length_max})


_NoNul = Annotated[str, AfterValidator(_without_nul), Field(json_schema_extra={"pattern": r"^[^\x00]*$"})]
Word = Annotated[_NoNul, StringConstraints(min_length=1, max_length=253)]
Text = Annotated[_NoNul, StringConstraints(max_length=500)]
Words = Annotated[list[Word], Field(max_length=NAMES_MAX)]
GprName = Annotated[Word, _documented(_NAME, GPR_NAME_LENGTH_MAX)]
NewName = Annotated[Word, _documented(_NAME, NAME_LENGTH_MAX)]
PrincipalName = Annotated[Word, _documented(_PRINCIPAL, 201)]
Namespaces = Annotated[
    list[Annotated[Word, _documented(_NAMESPACE, NAME_LENGTH_MAX)]], Field(min_length=1, max_length=NAMES_MAX)
]
Clusters = Annotated[list[Word], Field(min_length=1, max_length=NAMES_MAX)]
Duration = Annotated[Word, _documented(_DURATION, 253)]
DurationOrNone = Annotated[Text, _documented(f"^{_UNITS}", 500)]

Instant = Annotated[AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC))]
Amount = Annotated[Decimal, BeforeValidator(_amount), WithJsonSchema({"type": "string", "pattern": _AMOUNT})]
Flag = Annotated[bool, Field(strict=True)]
WHOLE: Final = BeforeValidator(_whole)
"""Behind the bounds of a whole number, which the document shows only then."""
Nodes = Annotated[int, Field(strict=True, ge=1, le=4096), BeforeValidator(_whole)]
GpusPerNode = Annotated[int, Field(strict=True, ge=1, le=64), BeforeValidator(_whole)]
Priority = Annotated[int, Field(strict=True, ge=0, le=PRIORITY_MAX), BeforeValidator(_whole)]
MEMORY_GIB_MAX: Final = 4096
MemoryGib = Annotated[int, Field(strict=True, ge=0, le=MEMORY_GIB_MAX), BeforeValidator(_whole)]
