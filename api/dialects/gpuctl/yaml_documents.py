"""Reads YAML that a stranger wrote, within bounds. JSON is YAML, too.

Only what a document here can need is known: mappings, lists, texts, whole and decimal numbers, true, false and null, where
all versions of YAML agree on them, so that `yes`, `1:30`, `2e-5` and `2024-01-01` stay the texts they look like. Tags and
aliases are refused, and the events of the parser are read one by one, so that nothing grows beyond what was sent. What
the fields mean is for others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import yaml

from api.problems import TooLarge
from domain.failures import InvalidRequest

YAML_BYTES_MAX: Final = 64 * 1024
"""Some fifty times the longest job seen."""
DEPTH_MAX: Final = 16
NODES_MAX: Final = 5000
MESSAGE_CHARACTERS_MAX: Final = 200
"""A name out of the document may be as long as the document."""

Step: TypeAlias = str | int
Path: TypeAlias = tuple[Step, ...]

_LOADER: Final = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_WORDS: Final[Mapping[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})", re.ASCII)
_DECIMAL: Final = re.compile(r"[-+]?[0-9]{1,300}\.[0-9]*|\.[0-9]+", re.ASCII)
_SURROGATES: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """What was read, and on which line each part of it stands. JSON bodies have no lines."""

    content: Mapping[str, object]
    lines: Mapping[Path, int] = field(default_factory=dict)


def load_yaml(text: str) -> YamlDocument:
    """The one mapping that the text holds, or InvalidRequest that says on which line it goes wrong."""
    _check_size(text)
    reader = _Reader(_with_whole_characters(text))
    try:
        return YamlDocument(reader.document(), reader.lines)
    except yaml.YAMLError as error:
        raise _malformed(error, text) from error


class _Reader:
    """Builds the content from the parser's events."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._events = yaml.parse(text, Loader=_LOADER)

    def document(self) -> dict[str, object]:
        """The content of the only document."""
        self._next()
        first = self._next()
        if isinstance(first, yaml.StreamEndEvent):
            raise InvalidRequest("the document is empty")
        top = self._next()
        content = self._content(top, ())
        if content is None:
            raise InvalidRequest("the document is empty")
        if not isinstance(content, dict):
            raise _at(top, f"the document must be a mapping of fields, not {_noun(content)}")
        self._check_end()
        return content

    def _check_end(self) -> None:
        self._next()
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            raise _at(after, "there must be one document only, and another one begins here")

    def _next(self) -> yaml.Event:
        return next(self._events)

    def _content(self, event: yaml.Event, path: Path) -> object:
        self._check(event, path)
        self.lines[path] = _line(event)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(path)
        assert isinstance(event, yaml.ScalarEvent)
        return _scalar(event)

    def _mapping(self, path: Path) -> dict[str, object]:
        content: dict[str, object] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = _key(event)
            if key in content:
                raise _at(event, f"{key!r} is given twice, first on line {self.lines[*path, key]}")
            line = _line(event)
            content[key] = self._content(self._next(), (*path, key))
            self.lines[*path, key] = line
        return content

    def _list(self, path: Path) -> list[object]:
        content: list[object] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            content.append(self._content(event, (*path, len(content))))
        return content

    def _check(self, event: yaml.Event, path: Path) -> None:
        if isinstance(event, yaml.AliasEvent):
            raise _at(event, f"aliases such as *{event.anchor} are not read here: write it out")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise _at(event, f"tags such as {tag} are not read here")
        if len(path) > DEPTH_MAX:
            raise _at(event, f"the document is nested deeper than {DEPTH_MAX} levels")
        if len(self.lines) >= NODES_MAX:
            raise _at(event, f"the document has more than {NODES_MAX} parts")


def _check_size(text: str) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidRequest("the document is not valid Unicode") from error
    if size > YAML_BYTES_MAX:
        raise TooLarge(f"the document is larger than {YAML_BYTES_MAX // 1024} KiB", bytes_max=YAML_BYTES_MAX)


def _with_whole_characters(text: str) -> str:
    """JSON may write one character as two escapes, which YAML does not know."""
    if not text.lstrip().startswith("{"):
        return text
    return _SURROGATES.sub(lambda pair: pair[1] + _character(int(pair[2], 16), int(pair[3], 16)), text)


def _character(high: int, low: int) -> str:
    return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))


def _key(event: yaml.Event) -> str:
    """Keys are texts, whatever they look like."""
    if isinstance(event, yaml.AliasEvent) or not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
        raise _at(event, "the name of a field must be a plain text")
    return _text(event)


def _scalar(event: yaml.ScalarEvent) -> object:
    text = _text(event)
    is_plain = event.implicit[0]
    if not is_plain:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text


def _text(event: yaml.ScalarEvent) -> str:
    text: str = event.value
    if "\0" in text:
        raise _at(event, "a text must not contain the character NUL")
    return text


def _noun(content: object) -> str:
    return "a list" if isinstance(content, list) else "a single value"


def _line(event: yaml.Event) -> int:
    assert event.start_mark is not None
    return int(event.start_mark.line) + 1


def _at(event: yaml.Event, message: str) -> InvalidRequest:
    line = _line(event)
    return InvalidRequest(f"line {line}: {message[:MESSAGE_CHARACTERS_MAX]}", line=line)


def _malformed(error: yaml.YAMLError, text: str) -> InvalidRequest:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return InvalidRequest("the document contains characters that YAML does not allow")
    line, lines = mark.line + 1, text.splitlines()
    begun = lines[mark.line][: mark.column + 1] if mark.line < len(lines) else ""
    if "\t" in begun and not begun.strip():
        return InvalidRequest(f"line {line}: YAML is indented with spaces, never with tabs", line=line)
    problem = getattr(error, "problem", None) or "it cannot be read"
    return InvalidRequest(f"line {line}, column {mark.column + 1}: not valid YAML: {problem}", line=line)
