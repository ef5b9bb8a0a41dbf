"""One resource as Omni gave it, and the draft in which a change of it is made.

A resource is never modified: `Draft` takes copies of all that may change and builds a new one, so that labels,
annotations and finalizers which nobody touched stay (an update sends the whole resource).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from app.machine.model import Phase
from app.omni.kinds import Kind
from app.omni.specs import spec_class
from protos.gen.cosi import state_pb2


@dataclass(frozen=True, slots=True, repr=False)
class Resource:
    """A resource of a known kind."""

    kind: Kind
    raw: state_pb2.Resource

    @property
    def id(self) -> str:
        """Its id; of machines the UUID."""
        return self.raw.metadata.id

    @property
    def version(self) -> int:
        """How often it was written; 0 where it was never stored."""
        text = self.raw.metadata.version
        return int(text) if text.isdecimal() else 0

    @property
    def created_ns(self) -> int:
        """When it was created, in nanoseconds since 1970; 0 where that is not known."""
        created = self.raw.metadata.created
        return max(0, created.seconds * 1_000_000_000 + created.nanos)

    @property
    def updated_s(self) -> float:
        """When it was written last, by Omni's clock, in seconds since 1970."""
        updated = self.raw.metadata.updated
        return float(updated.seconds) + updated.nanos / 1e9

    @property
    def order(self) -> tuple[int, int]:
        """Of two copies of one resource the newer compares greater, also across a destroy and a create."""
        return self.created_ns, self.version

    @property
    def phase(self) -> Phase:
        """Running or tearing down."""
        tearing_down = self.raw.metadata.phase == Phase.TEARING_DOWN
        return Phase.TEARING_DOWN if tearing_down else Phase.RUNNING

    @property
    def owner(self) -> str:
        """Who may change it; '' for anybody who may write the type."""
        return self.raw.metadata.owner

    @property
    def labels(self) -> dict[str, str]:
        """A copy of its labels."""
        return dict(self.raw.metadata.labels)

    @property
    def annotations(self) -> dict[str, str]:
        """A copy of its annotations."""
        return dict(self.raw.metadata.annotations)

    @property
    def finalizers(self) -> tuple[str, ...]:
        """Who must let go of it before it can be destroyed."""
        return tuple(self.raw.metadata.finalizers)

    @property
    def spec(self) -> Any:
        """A new copy of its spec, a message of the kind's own class."""
        return spec_class(self.kind).FromString(self.raw.spec.proto_spec)

    def dump(self) -> bytes:
        """The resource as bytes, to be kept."""
        return self.raw.SerializeToString()

    @classmethod
    def load(cls, kind: Kind, data: bytes) -> Self:
        """The resource that `dump` gave."""
        return cls(kind, state_pb2.Resource.FromString(data))

    def __repr__(self) -> str:
        # Specs hold logins and tokens.
        return f"Resource({self.kind.value} {self.id} version={self.version} phase={self.phase.value})"


class Draft:
    """A change in the making: modify `spec`, `labels`, `annotations` and `finalizers` in place."""

    def __init__(self, base: Resource) -> None:
        self.base = base
        self.spec: Any = base.spec
        self.labels = base.labels
        self.annotations = base.annotations
        self.finalizers = list(base.finalizers)

    def changed(self) -> bool:
        """Whether anything differs from the resource that it began with."""
        base = self.base
        return (
            self.spec != base.spec
            or self.labels != base.labels
            or self.annotations != base.annotations
            or tuple(self.finalizers) != base.finalizers
        )

    def build(self) -> state_pb2.Resource:
        """The resource to send. The YAML view of the old spec is left out, since it would not be true any more."""
        raw = state_pb2.Resource()
        raw.CopyFrom(self.base.raw)
        raw.metadata.ClearField("labels")
        raw.metadata.labels.update(self.labels)
        raw.metadata.ClearField("annotations")
        raw.metadata.annotations.update(self.annotations)
        raw.metadata.finalizers[:] = self.finalizers
        if self.spec != self.base.spec:
            raw.spec.CopyFrom(state_pb2.Spec(proto_spec=self.spec.SerializeToString()))
        raw.spec.SetInParent()
        return raw


def blank(kind: Kind, provider_id: str, resource_id: str) -> Resource:
    """A resource that was never stored, with an empty spec."""
    raw = state_pb2.Resource()
    raw.metadata.namespace = kind.namespace(provider_id)
    raw.metadata.type = kind.type(provider_id)
    raw.metadata.id = resource_id
    raw.metadata.version = "undefined"
    raw.metadata.phase = Phase.RUNNING
    raw.metadata.created.GetCurrentTime()
    raw.metadata.updated.CopyFrom(raw.metadata.created)
    raw.spec.SetInParent()
    return Resource(kind, raw)
