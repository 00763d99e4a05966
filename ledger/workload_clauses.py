"""The one place where SQL is put together: conditions and orders of lists of workloads.

A list may be filtered by any of two dozen fields in eight ways and sorted by any of them, which no set of whole statements
can say. What is put in are columns and operators out of the tables below, never a caller's text: that travels as parameters.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING, Any, Final

from domain.workload import KIND_OF, Field, FieldKind, Operator

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from domain.workload import Condition

INT8_MAX: Final = 2**63 - 1
GRAM: Final = 3
"""Letters of a piece by which parts of words are found; shorter ones are looked for row by row."""

GROWING: Final = {Field.PENDING_SECONDS: "pending_key", Field.RUNNING_SECONDS: "running_key"}
NOWHERE: Final = frozenset({Field.NO_TEXT, Field.NO_INSTANT})
COUNTED: Final = frozenset(
    {
        *(Field.TYPE, Field.CATEGORY, Field.PHASE, Field.POOL, Field.CLUSTER_ID),
        *(Field.PROJECT_ID, Field.PROJECT, Field.DEPARTMENT_ID, Field.DEPARTMENT),
    }
)
"""Fields of the counts that are kept."""
OF_A_WORKSPACE: Final = frozenset({Field.PROJECT_ID, Field.PROJECT})
"""Fields that only the counts of single workspaces have."""

_COMPARED: Final = {Operator.IS: "=", Operator.AT_MOST: "<=", Operator.AT_LEAST: ">="}
_TYPE: Final = {FieldKind.TEXT: "text", FieldKind.NUMBER: "bigint", FieldKind.INSTANT: "timestamptz"}
_PATTERN: Final = {Operator.CONTAINS: "%{}%", Operator.LACKS: "%{}%", Operator.BEGINS: "{}%", Operator.ENDS: "%{}"}
_HOLDS_FOR_NOTHING: Final = frozenset({Operator.IS_NOT, Operator.LACKS})
_SPECIAL: Final = re.compile(r"([\\%_])")
_LOWER: Final = str.maketrans(ascii_uppercase, ascii_lowercase)
"""As the ledger lowers what it looks for words in."""


@dataclass(slots=True)
class Parameters:
    """Values that travel beside a statement, after those that it has already."""

    values: list[Any] = field(default_factory=list)

    def put(self, value: Any, type_name: str) -> str:
        """The place of one more value."""
        self.values.append(value)
        return f"${len(self.values)}::{type_name}"


def where(conditions: Iterable[Condition], search: str, parameters: Parameters, now: datetime) -> str:
    """` and …` for everything that must hold of a row `w`; empty where nothing must."""
    clauses = [_clause(one, parameters, now) for one in conditions]
    clauses += [_has_word(word, parameters) for word in search.translate(_LOWER).split()]
    return "".join(f"\n  and {clause}" for clause in clauses)


def order(sort: Field | None, parameters: Parameters, now: datetime, *, is_descending: bool) -> str:
    """What rows are ordered by; the sequence decides ties, and the other direction is the exact reverse."""
    direction = " desc" if is_descending else ""
    columns = ["w.sequence"]
    if sort in GROWING:
        columns.insert(0, f"workload_seconds(w.{GROWING[sort]}, {parameters.put(now, 'timestamptz')})")
    elif sort is not None and sort not in NOWHERE:
        columns.insert(0, f"w.{sort.value}")
    return ", ".join(f"{column}{direction}" for column in columns)


def _clause(condition: Condition, parameters: Parameters, now: datetime) -> str:
    if condition.field in NOWHERE:
        return str(condition.operator in _HOLDS_FOR_NOTHING).lower()
    if condition.field in GROWING:
        return _growing(GROWING[condition.field], condition.operator, _number(condition), parameters, now)
    kind = KIND_OF[condition.field]
    if kind is FieldKind.NUMBER:
        return _of_number(f"w.{condition.field.value}", condition.operator, _number(condition), parameters)
    return _of_text(f"w.{condition.field.value}", condition, _TYPE[kind], parameters)


def _of_text(column: str, condition: Condition, type_name: str, parameters: Parameters) -> str:
    operator, value = condition.operator, condition.value
    if operator is Operator.ONE_OF:
        return f"{column} = any({parameters.put(list(value), 'text[]')})"  # type: ignore[arg-type]
    if operator is Operator.IS_NOT:
        return f"{column} is distinct from {parameters.put(value, type_name)}"
    if operator in _COMPARED:
        return f"{column} {_COMPARED[operator]} {parameters.put(value, type_name)}"
    if operator is Operator.BEGINS:
        return f"{column} ^@ {parameters.put(value, 'text')}"
    return _like(column, condition.field, operator, str(value), parameters)


def _like(column: str, field: Field, operator: Operator, part: str, parameters: Parameters) -> str:
    pattern = _PATTERN[operator].format(_escaped(part))
    negated = "not " if operator is Operator.LACKS else ""
    clause = f"{column} {negated}like {parameters.put(pattern, 'text')}"
    if operator is Operator.LACKS:
        return clause
    if field is Field.NAME and len(part) >= GRAM:
        return f"{clause}\n  and {_by_grams(part.translate(_LOWER), parameters)}"
    if field in COUNTED - OF_A_WORKSPACE:
        return f"{clause}\n  and {_occurs(field, pattern, parameters)}"
    return clause


def _occurs(field: Field, pattern: str, parameters: Parameters) -> str:
    """No index finds parts of words; the counts know all words there are, so that for a part of none nothing is read."""
    return f"exists (select from workload_counts c where c.is_total and c.{field.value} like {parameters.put(pattern, 'text')})"


def _number(condition: Condition) -> float:
    assert isinstance(condition.value, int | float)
    return condition.value


def _of_number(column: str, operator: Operator, number: float, parameters: Parameters) -> str:
    """Columns are whole numbers: what lies between two of them is none of them."""
    if operator in {Operator.IS, Operator.IS_NOT}:
        if number != int(number):
            return str(operator is Operator.IS_NOT).lower()
        return f"{column} {'=' if operator is Operator.IS else '<>'} {parameters.put(_whole(number), 'bigint')}"
    if operator is Operator.AT_MOST:
        return f"{column} <= {parameters.put(_whole(math.floor(number)), 'bigint')}"
    return f"{column} >= {parameters.put(_whole(math.ceil(number)), 'bigint')}"


def _growing(column: str, operator: Operator, seconds: float, parameters: Parameters, now: datetime) -> str:
    """Seconds that stand still are at zero or above; of those that grow, their instant is taken, so they are below."""
    ago = seconds - math.floor(now.timestamp())
    still, grows = (_of_number(f"w.{column}", operator, one, parameters) for one in (max(seconds, -1), min(ago, -1)))
    if operator is Operator.IS_NOT:
        return f"({still} and {grows})"
    return f"((w.{column} >= 0 and {still}) or (w.{column} < 0 and {grows}))"


def _has_word(word: str, parameters: Parameters) -> str:
    if len(word) >= GRAM:
        return _by_grams(word, parameters)
    pattern = parameters.put(f"%{_escaped(word)}%", "text")
    return f"exists (select from workload_words f where f.sequence = w.sequence and f.words like {pattern})"


def _by_grams(word: str, parameters: Parameters) -> str:
    grams = parameters.put(sorted({word[at : at + GRAM] for at in range(len(word) - GRAM + 1)}), "text[]")
    pattern = parameters.put(f"%{_escaped(word)}%", "text")
    found = f"select f.sequence from workload_words f where f.grams @> {grams} and f.words like {pattern}"
    return f"w.sequence in ({found})"


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def _whole(number: float) -> int:
    return max(-INT8_MAX, min(INT8_MAX, int(number)))
