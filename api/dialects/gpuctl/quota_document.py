"""A quota, as YAML of kind `quota`: limits for several namespaces under one name. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field

from api.dialects.gpuctl.field_types import Name, Text, Version
from api.dialects.gpuctl.job_translation import DEFAULT_NAMESPACE
from api.dialects.gpuctl.limits import Limits, LimitsSection
from api.dialects.gpuctl.sections import Section, kind_of, problem_at, read_section, told_by
from api.dialects.gpuctl.yaml_documents import YamlDocument
from api.problems import InvalidFields

NAMESPACES_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class NamespaceLimits:
    """What one namespace may have."""

    namespace: str
    limits: Limits


@dataclass(frozen=True, slots=True)
class QuotaOrder:
    """A quota that is asked for, its namespaces in the order in which they were written."""

    name: str
    description: str = ""
    namespaces: tuple[NamespaceLimits, ...] = ()


class QuotaIdentity(Section):
    """What it is called."""

    name: Name
    description: Text = ""


_Limits = Annotated[LimitsSection, BeforeValidator(lambda content: {} if content is None else content)]


class QuotaDocument(Section):
    """The YAML. `default` are the limits of the namespace of that name."""

    synonyms: ClassVar[Mapping[str, str]] = MappingProxyType({"metadata": "quota", "namespaces": "namespace"})

    kind: Annotated[Literal["quota"], told_by(lambda kind: str(kind).lower())]
    version: Version | None = None
    quota: QuotaIdentity
    default: LimitsSection | None = None
    namespace: Annotated[dict[Name, _Limits], Field(max_length=NAMESPACES_MAX)] = Field(default_factory=dict)


def read_quota(document: YamlDocument) -> QuotaOrder:
    """The quota that is asked for, or a failure that names each field that is wrong."""
    kind_of(document, ("quota",))
    quota = read_section(QuotaDocument, document)
    if quota.default is None and not quota.namespace:
        raise InvalidFields([problem_at(document, ("namespace",), "must name at least one namespace")])
    if quota.default is not None and DEFAULT_NAMESPACE in quota.namespace:
        path = ("namespace", DEFAULT_NAMESPACE)
        raise InvalidFields([problem_at(document, path, "has limits already, under 'default'")])
    sections = {**({} if quota.default is None else {DEFAULT_NAMESPACE: quota.default}), **quota.namespace}
    limits = tuple(NamespaceLimits(name, Limits.of(section)) for name, section in sections.items())
    return QuotaOrder(quota.quota.name, quota.quota.description, limits)


def quota_content_of(order: QuotaOrder) -> dict[str, object]:
    """The YAML that asks for this quota."""
    identity = {"name": order.name} | ({"description": order.description} if order.description else {})
    namespaces = {one.namespace: one.limits.content() for one in order.namespaces}
    return {"kind": "quota", "version": "v0.1", "quota": identity, "namespace": namespaces}
