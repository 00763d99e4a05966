"""How parts of a document are read: one meaning for each spelling of a name, and a sentence for whatever is wrong.

Names are read in kebab-case, camelCase and snake_case. A name that nobody knows is refused with the nearest one that is
known. Which fields there are stands in the modules of the documents.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from types import MappingProxyType
from typing import Any, ClassVar, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from api.dialects.gpuctl.yaml_documents import Path, YamlDocument
from api.problems import FieldProblem, InvalidFields
from domain.failures import InvalidRequest

_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SPELLED: Final[Mapping[str, str]] = MappingProxyType({"image_pull_secret": "imagePullSecret"})
"""The documents write all names in kebab-case but these."""
_FIELDS: Final = "fields"
_SENTENCE: Final = "sentence"
SHOWN_CHARACTERS_MAX: Final = 40
PROBLEMS_MAX: Final = 20
"""As many findings as somebody reads at once."""
UNSHOWN: Final = frozenset({"value"})
"""Fields whose content may be a secret."""

_Section = TypeVar("_Section", bound="Section")


class Section(BaseModel):
    """A mapping in a document. What is null was not given."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    synonyms: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Older names of fields."""

    @model_validator(mode="before")
    @classmethod
    def _in_one_spelling(cls, content: Any) -> Any:
        if not isinstance(content, Mapping):
            return content
        known: dict[str, Any] = {}
        problems: list[tuple[str, str]] = []
        written: dict[str, str] = {}
        for key, value in content.items():
            name = cls._field_of(str(key))
            if len(problems) == PROBLEMS_MAX:
                break
            if name not in cls.model_fields:
                problems.append((str(key), _unknown(str(key), list(cls.model_fields))))
            elif name in written:
                problems.append((str(key), f"is the same field as {written[name]!r}, given twice"))
            else:
                written[name] = str(key)
                known |= {} if value is None else {name: value}
        if problems:
            raise PydanticCustomError(_FIELDS, "unknown fields", {"problems": problems})
        return known

    @classmethod
    def _field_of(cls, key: str) -> str:
        name = _canonical(key)
        return cls.synonyms.get(name, name)


def read_section(section: type[_Section], document: YamlDocument) -> _Section:
    """The document as this section, or InvalidFields with a sentence for each field that is wrong."""
    try:
        return section.model_validate(document.content)
    except ValidationError as error:
        found = error.errors(include_url=False)
    problems = (problem for one in found for problem in _problems(one, document))
    raise InvalidFields(list(islice(problems, PROBLEMS_MAX)))


def problem_at(document: YamlDocument, path: Path, sentence: str) -> FieldProblem:
    """A finding about the field at this path, which is given by its names inside."""
    return _problem(document, _as_written(document.content, path), "invalid", sentence)


def kind_of(document: YamlDocument, kinds: Sequence[str]) -> str:
    """The kind of the document. Everything else in it depends on that, so it is told apart first."""
    kind = document.content.get("kind")
    if kind is None:
        raise InvalidFields([_problem(document, ("kind",), "missing", f"is required: one of {', '.join(kinds)}")])
    if not isinstance(kind, str) or kind.lower() not in kinds:
        shown = _shown(kind).strip("'")
        raise InvalidRequest(f"Unsupported kind: {shown} (known here: {', '.join(kinds)})")
    return kind.lower()


def told_by(check: Callable[[Any], Any]) -> BeforeValidator:
    """A check of the domain's kind, its sentence kept, as a validator of a field."""

    def checked(value: Any) -> Any:
        try:
            return check(value)
        except InvalidRequest as invalid:
            raise PydanticCustomError(_SENTENCE, "{sentence}", {"sentence": invalid.message}) from invalid

    return BeforeValidator(checked)


def spelled(field: str) -> str:
    """A field's name as the documents write it."""
    return _SPELLED.get(field, field.replace("_", "-"))


def _canonical(key: str) -> str:
    return _HUMP.sub("_", key).replace("-", "_").lower()


def _unknown(key: str, fields: Sequence[str]) -> str:
    near = get_close_matches(_canonical(key[:SHOWN_CHARACTERS_MAX]), fields, n=1)
    if near:
        return f"there is no such field (did you mean {spelled(near[0])!r}?)"
    return f"there is no such field (known here: {', '.join(map(spelled, fields))})"


def _problems(error: ErrorDetails, document: YamlDocument) -> Iterator[FieldProblem]:
    path = _as_written(document.content, error["loc"])
    if error["type"] != _FIELDS:
        yield _problem(document, path, error["type"], _sentence(error))
        return
    for name, sentence in error["ctx"]["problems"]:
        yield _problem(document, (*path, name), "extra_forbidden", sentence)


def _problem(document: YamlDocument, path: Path, kind: str, sentence: str) -> FieldProblem:
    line = document.lines.get(path) or document.lines.get(path[:-1])
    where = "" if line is None else f" (line {line})"
    return FieldProblem(_dotted(path), kind, f"{sentence}{where}")


def _as_written(content: object, path: Sequence[str | int]) -> Path:
    """The path in the words of whoever wrote the document."""
    if not path:
        return ()
    step, rest = path[0], path[1:]
    if isinstance(content, list) and isinstance(step, int) and step < len(content):
        return (step, *_as_written(content[step], rest))
    if not isinstance(content, Mapping):
        return tuple(path)
    keys = [key for key in content if key == step] or [key for key in content if _canonical(str(key)) == step]
    key = str(keys[0]) if keys else spelled(str(step))
    return (key, *_as_written(content.get(key), rest))


def _dotted(path: Path) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{_short(step)}" for step in path)
    return text.removeprefix(".") or "document"


def _sentence(error: ErrorDetails) -> str:
    wanted = _WANTED.get(error["type"])
    if wanted is None:
        message = error["msg"].removeprefix("Input ")
        return message[:1].lower() + message[1:]
    context = error.get("ctx", {})
    hint = ": put it in quotes" if error["type"] == "string_type" and _is_plain(error["input"]) else ""
    given = "" if error["type"] == "missing" else f", not {_given(error)}"
    return f"{wanted.format(**context)}{given}{hint}"


_WANTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "missing": "is required",
        "string_type": "must be a text",
        "int_type": "must be a whole number",
        "int_parsing": "must be a whole number",
        "bool_type": "must be true or false",
        "list_type": "must be a list",
        "dict_type": "must be a mapping",
        "model_type": "must be a mapping of fields",
        "literal_error": "must be {expected}",
        "greater_than_equal": "must be at least {ge}",
        "less_than_equal": "must be at most {le}",
    }
)


def _is_plain(value: object) -> bool:
    return isinstance(value, bool | int | float)


def _given(error: ErrorDetails) -> str:
    value = error["input"]
    noun = _noun(value)
    is_secret = bool(error["loc"]) and error["loc"][-1] in UNSHOWN
    return noun if is_secret or not isinstance(value, str | int | float) else f"{noun} {_shown(value)}"


def _noun(value: object) -> str:
    if isinstance(value, bool):
        return "the word"
    if isinstance(value, int | float):
        return "the number"
    if isinstance(value, str):
        return "the text"
    return "a list" if isinstance(value, list) else "a mapping" if isinstance(value, Mapping) else "nothing"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(_short(value))
    return str(value) if isinstance(value, int | float) else _noun(value)


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS_MAX * 2 else f"{text[:SHOWN_CHARACTERS_MAX]}…"
