"""What is asked for in a query, read into Berth's words: lists, filters, instants. Pure; what makes no sense is refused."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar

from api.dialects.runai.words import FIELDS, PHASE_OF_WORD
from domain.failures import InvalidRequest
from domain.workload import KIND_OF, Condition, Field, FieldKind, Operator, WorkloadFilter

TERMS_MAX: Final = 50
VALUE_MAX: Final = 500
OPERATORS: Final = {
    "==": Operator.IS,
    "!=": Operator.IS_NOT,
    "<=": Operator.AT_MOST,
    ">=": Operator.AT_LEAST,
    "=@": Operator.CONTAINS,
    "!@": Operator.LACKS,
    "=^": Operator.BEGINS,
    "=$": Operator.ENDS,
}
_OF_TEXT_ONLY: Final = frozenset({Operator.CONTAINS, Operator.LACKS, Operator.BEGINS, Operator.ENDS})
_HEAD: Final = rf"(?:{'|'.join(FIELDS)})(?:{'|'.join(map(re.escape, OPERATORS))})"
_TERM: Final = re.compile(rf"({'|'.join(FIELDS)})({'|'.join(map(re.escape, OPERATORS))})(.+)", re.DOTALL)
_BEFORE_TERM: Final = re.compile(rf",\s*(?={_HEAD})")
TERM_PATTERN: Final = rf"^(\s*|{_HEAD}.+)$"
"""Of one value of the parameter, as the document says it."""
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?([Zz]|[+-][0-9]{2}:?[0-9]{2})?)?",
    re.ASCII,
)
_LOST_PLUS: Final = re.compile(r" ([0-9]{2}:?[0-9]{2})$", re.ASCII)
_COMPARED: Final[Mapping[Operator, Callable[[str, str], bool]]] = {
    Operator.IS: operator.eq,
    Operator.IS_NOT: operator.ne,
    Operator.AT_MOST: operator.le,
    Operator.AT_LEAST: operator.ge,
    Operator.CONTAINS: operator.contains,
    Operator.LACKS: lambda word, value: value not in word,
    Operator.BEGINS: str.startswith,
    Operator.ENDS: str.endswith,
}

_Meant = TypeVar("_Meant")


def filter_of(terms: Sequence[str] | None, search: str | None, *, is_deleted: bool) -> WorkloadFilter:
    """Which workloads are meant. Raises InvalidRequest."""
    conditions = tuple(_condition(one) for one in terms_of(terms or ()))
    return WorkloadFilter(is_deleted, conditions, without_nul(search or "", "search"))


def terms_of(values: Sequence[str]) -> list[str]:
    """The terms of a filter. Sent once, they are joined by commas: one ends where another whole beginning follows.

    Sent several times, each is one term, whatever is in it. So a value may hold commas and operators, and one that holds a
    whole term can be sent as such by repeating the parameter, if need be with nothing in it.
    """
    found = list(values) if len(values) > 1 else [part for value in values for part in _BEFORE_TERM.split(value)]
    told = [term for term in found if term.strip()]
    if len(told) > TERMS_MAX:
        raise InvalidRequest(f"filterBy has {len(told)} terms, and {TERMS_MAX} are the most")
    return told


def words_of(values: Sequence[str] | None, known: Mapping[str, _Meant], what: str) -> list[tuple[str, _Meant]]:
    """Words of a list, comma-joined or repeated, each once and with what it means. Raises InvalidRequest."""
    words = dict.fromkeys(word.strip() for value in values or () for word in value.split(",") if word.strip())
    unknown = next((word for word in words if word not in known), None)
    if unknown is not None:
        raise InvalidRequest(f"unknown {what} {unknown[:80]!r}; known: {', '.join(known)}")
    return [(word, known[word]) for word in words]


def instant_of(text: str, what: str) -> datetime:
    """An instant in ISO 8601; UTC where it does not say. A plus sign that a query has turned into a space is one again."""
    written = _LOST_PLUS.sub(r"+\1", text.strip()) if "T" in text or "t" in text else text.strip()
    refused = InvalidRequest(f"{what}: {text[:80]!r} is no instant; write it as in 2021-01-01T00:00:00Z")
    if not _INSTANT.fullmatch(written):
        raise refused
    try:
        found = datetime.fromisoformat(written.upper())
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise refused from error


def without_nul(text: str, what: str) -> str:
    """The text itself. Raises InvalidRequest where it holds what no text of ours can."""
    if "\0" in text or len(text) > VALUE_MAX:
        raise InvalidRequest(f"{what} is longer than {VALUE_MAX} characters, or holds the character NUL")
    return text


def _condition(term: str) -> Condition:
    match = _TERM.fullmatch(term.strip())
    if match is None:
        raise InvalidRequest(
            f"filterBy {term[:80]!r} is not field, operator, value; operators: {' '.join(OPERATORS)}; "
            f"fields: {', '.join(FIELDS)}"
        )
    word, sign, value = match.groups()
    field, compared = FIELDS[word], OPERATORS[sign]
    without_nul(value, f"the value of {word}")
    if field is Field.PHASE:
        return _on_phases(compared, value)
    kind = KIND_OF[field]
    if kind is not FieldKind.TEXT and compared in _OF_TEXT_ONLY:
        raise InvalidRequest(f"filterBy {term[:80]!r}: {sign} is for texts, and {word} is none")
    if kind is FieldKind.NUMBER:
        return Condition(field, compared, _number(value, word))
    if kind is FieldKind.INSTANT:
        return Condition(field, compared, instant_of(value, word))
    return Condition(field, compared, value)


def _on_phases(compared: Operator, value: str) -> Condition:
    """There are few, so the comparison is made with each, and the ledger is told which are meant."""
    if compared in {Operator.IS, Operator.IS_NOT} and value not in PHASE_OF_WORD:
        raise InvalidRequest(f"unknown phase {value[:80]!r}; known: {', '.join(PHASE_OF_WORD)}")
    meant = [phase.value for word, phase in PHASE_OF_WORD.items() if _COMPARED[compared](word, value)]
    return Condition(Field.PHASE, Operator.ONE_OF, tuple(meant))


def _number(text: str, what: str) -> float:
    number = float(text) if _NUMBER.fullmatch(text.strip()) else math.inf
    if not math.isfinite(number):
        raise InvalidRequest(f"{what}: {text[:80]!r} is no number")
    return number
