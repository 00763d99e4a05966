"""Values that fields of the documents hold: what they look like, and the sentence when they do not."""

from __future__ import annotations

import posixpath
import re
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

from api.dialects.gpuctl.quantities import cpu_millis, cpu_of, memory_bytes, memory_of
from api.dialects.gpuctl.sections import told_by
from domain.durations import format_duration, parse_duration
from domain.failures import InvalidRequest
from domain.identifiers import NAME_LENGTH_MAX

JOB_NAME_LENGTH_MAX: Final = 52
"""The pods of a notebook carry its name and eleven characters more in a label, and a label holds 63."""
PATH_LENGTH_MAX: Final = 1024
MEMORY_BYTES_MIN: Final = 4 * 1024**2
"""No container starts in less; a number without a unit is bytes, which nobody means."""

_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", re.ASCII)
_SUBDOMAIN: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?", re.ASCII)
_VARIABLE: Final = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*", re.ASCII)
_DIGITS: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,8})", re.ASCII)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        hint = ": put it in quotes" if isinstance(value, bool | int | float) else ""
        raise InvalidRequest(f"must be a text{hint}")
    return str(_without_nul(value))


def _without_nul(value: Any) -> Any:
    if isinstance(value, str) and "\0" in value:
        raise InvalidRequest("must not contain the character NUL")
    return value


def _whole(value: Any) -> Any:
    """3.0 and "3" are the whole number 3."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else value


def _label(value: Any, length_max: int = NAME_LENGTH_MAX) -> str:
    text = _text(value)
    if len(text) > length_max or not _LABEL.fullmatch(text):
        raise InvalidRequest(
            f"{text[:80]!r} is not a name: 1 to {length_max} lower-case letters, digits or '-', "
            f"beginning and ending with a letter or digit"
        )
    return text


def _job_name(value: Any) -> str:
    return _label(value, JOB_NAME_LENGTH_MAX)


def _subdomain(value: Any) -> str:
    text = _text(value)
    if len(text) > 253 or not _SUBDOMAIN.fullmatch(text):  # noqa: PLR2004 - RFC 1123
        raise InvalidRequest(f"{text[:80]!r} is not a name: lower-case letters, digits, '-' and '.', at most 253")
    return text


def _variable(value: Any) -> str:
    text = _text(value)
    if len(text) > 253 or not _VARIABLE.fullmatch(text):  # noqa: PLR2004 - as long as any name
        raise InvalidRequest(
            f"{text[:80]!r} is not the name of a variable: letters, digits, '_', '-', '.', no digit first"
        )
    return text


def _image(value: Any) -> str:
    text = _text(value).strip()
    if not text or len(text) > 500 or re.search(r"\s", text):  # noqa: PLR2004 - longer than registries allow
        raise InvalidRequest("must be the name of an image, without blanks, at most 500 characters")
    return text


def _word(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _job_cpu(value: Any) -> str:
    text = cpu_of(value)
    if cpu_millis(text) == 0:
        raise InvalidRequest("must be more than zero, or left out to ask for none in particular")
    return text


def _job_memory(value: Any) -> str:
    text = memory_of(value)
    if memory_bytes(text) < MEMORY_BYTES_MIN:
        raise InvalidRequest(f"{text!r} is less than any container needs (is the unit missing, as in 32Gi?)")
    return text


def _url_path(value: Any) -> str:
    text = _text(value)
    if not text.startswith("/") or len(text) > PATH_LENGTH_MAX or not text.isprintable() or " " in text:
        raise InvalidRequest("must be an HTTP path, as in /health")
    return text


def _host_path(value: Any) -> str:
    """Absolute, without a way out of what an administrator allows, and in one spelling."""
    text = _text(value)
    if not text.startswith("/") or len(text) > PATH_LENGTH_MAX or not text.isprintable() or ":" in text:
        raise InvalidRequest(f"must be an absolute path of at most {PATH_LENGTH_MAX} characters, as in /data/models")
    if ".." in text.split("/"):
        raise InvalidRequest("must not contain '..'")
    return posixpath.normpath("/" + text.lstrip("/"))


def _duration(value: Any) -> str:
    return format_duration(parse_duration(_text(value)))


def _timeout(value: Any) -> str:
    """Seconds, where no unit is given."""
    is_seconds = isinstance(value, int) and not isinstance(value, bool)
    text = f"{value}s" if is_seconds else _text(value)
    parse_duration(text)
    return text


Name = Annotated[str, told_by(_label)]
JobName = Annotated[str, told_by(_job_name)]
NodeName = Annotated[str, told_by(_subdomain)]
SecretName = Annotated[str, told_by(_subdomain)]
VariableName = Annotated[str, told_by(_variable)]
Image = Annotated[str, told_by(_image)]
Text = Annotated[str, Field(strict=True), StringConstraints(max_length=1000), told_by(_without_nul)]
Argument = Annotated[str, Field(strict=True), StringConstraints(max_length=32 * 1024), told_by(_without_nul)]
"""Of a command, or the value of a variable: as long as the document allows."""
GpuType = Annotated[str, Field(strict=True), StringConstraints(max_length=NAME_LENGTH_MAX), told_by(_without_nul)]
Cpu = Annotated[str, told_by(_job_cpu)]
Memory = Annotated[str, told_by(_job_memory)]
CpuLimit = Annotated[str, told_by(cpu_of)]
MemoryLimit = Annotated[str, told_by(memory_of)]
UrlPath = Annotated[str, told_by(_url_path)]
HostPath = Annotated[str, told_by(_host_path)]
Duration = Annotated[str, told_by(_duration)]
Timeout = Annotated[str, told_by(_timeout)]
Whole = Annotated[int, Field(strict=True), told_by(_whole)]
Port = Annotated[Whole, Field(ge=1, le=65535)]
Gpus = Annotated[Whole, Field(ge=0, le=64)]
Replicas = Annotated[Whole, Field(ge=1, le=4096)]
Retries = Annotated[Whole, Field(ge=0, le=100)]
GpuLimit = Annotated[Whole, Field(ge=0, le=1_000_000)]
PriorityWord = Annotated[Literal["high", "medium", "low"], told_by(_word)]
Version = Literal["v0.1", "v1"]
