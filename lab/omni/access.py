"""What the role of an infrastructure provider may do, by type and namespace."""

from __future__ import annotations

import grpc

from app.omni.kinds import EPHEMERAL, SHARED
from lab.omni.store import Place, Refused
from protos.gen.cosi import state_pb2

PROVIDER_LABEL = "omni.sidero.dev/infra-provider-id"
_OMNI = ".omni.sidero.dev"
_META = ".meta.cosi.dev"
_WRITABLE = frozenset(
    {
        Place(SHARED, f"InfraProviderStatuses{_OMNI}"),
        Place(SHARED, f"InfraMachineStatuses{_OMNI}"),
        Place(SHARED, f"MachineRequestStatuses{_OMNI}"),
        Place(SHARED, f"ConfigPatchRequests{_OMNI}"),
        Place(EPHEMERAL, f"InfraProviderHealthStatuses{_OMNI}"),
    }
)
# Their finalizers may be changed, nothing else.
_FINALIZERS_ONLY = frozenset(
    {
        Place(SHARED, f"InfraMachines{_OMNI}"),
        Place(SHARED, f"InfraMachineRegistrations{_OMNI}"),
        Place(SHARED, f"BMCConfigs{_OMNI}"),
        Place(SHARED, f"ProviderJoinConfigs{_OMNI}"),
        Place(SHARED, f"MachineRequests{_OMNI}"),
    }
)
_READABLE = frozenset(
    {
        Place("default", f"Machines{_OMNI}"),
        Place("default", f"ConnectionParams{_OMNI}"),
        Place("default", f"SiderolinkAPIConfigs{_OMNI}"),
        Place("default", f"FeaturesConfigs{_OMNI}"),
        Place("default", f"TalosVersions{_OMNI}"),
        Place("default", f"KubernetesVersions{_OMNI}"),
        Place("ephemeral", "SysVersions.system.sidero.dev"),
        Place("virtual", f"CurrentUsers{_OMNI}"),
        Place("meta", f"ResourceDefinitions{_META}"),
        Place("meta", f"Namespaces{_META}"),
    }
)
# Of these a provider sees none, its own included; so it reads nothing, and there is nothing to change.
_UNSEEN = Place(SHARED, f"InfraProviders{_OMNI}")
# What is made up for whoever asks does not change by itself.
_NOT_WATCHED = frozenset({Place("virtual", f"CurrentUsers{_OMNI}")})
# The one resource of these types that a provider may make is its own.
_ONE_PER_PROVIDER = (f"InfraProviderStatuses{_OMNI}", f"InfraProviderHealthStatuses{_OMNI}")


class Forbidden(Refused):
    """What the role does not allow, whatever the resource is like just now."""

    def __init__(self, words: str) -> None:
        super().__init__(grpc.StatusCode.PERMISSION_DENIED, words)


class Access:
    """The rights of one provider."""

    def __init__(self, provider_id: str) -> None:
        self._id = provider_id
        self._own = f"{SHARED}:{provider_id}"

    def check_read(self, place: Place) -> None:
        """May it read this type?"""
        if not self._is_own(place) and place not in _WRITABLE | _FINALIZERS_ONLY | _READABLE | {_UNSEEN}:
            raise self._no_access(place)

    def check_watch(self, place: Place) -> None:
        """May it watch this type?"""
        self.check_read(place)
        if place in _NOT_WATCHED:
            raise Refused(grpc.StatusCode.UNIMPLEMENTED, f"watch is not supported for {place.type}")

    def check_create(self, resource: state_pb2.Resource, place: Place) -> None:
        """May it create this resource?"""
        if place == _UNSEEN:
            raise Refused(grpc.StatusCode.ALREADY_EXISTS, f"resource {place.type}({resource.metadata.id}) exists")
        self._check_write(place)
        if place.type in _ONE_PER_PROVIDER and resource.metadata.id != self._id:
            words = f"resource ID must match the infra provider ID {self._id!r}"
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, words)

    def check_change(self, place: Place) -> None:
        """May it change anything of this type? That is known before the resource is looked for."""
        self.check_read(place)
        if place in _READABLE:
            raise _read_only(place)

    def check_update(self, new: state_pb2.Resource, old: state_pb2.Resource, place: Place) -> None:
        """May it replace the one by the other? Of some types only the finalizers may differ."""
        if place not in _FINALIZERS_ONLY:
            self._check_write(place)
        elif _without_finalizers(new) != _without_finalizers(old):
            refused = _read_only(place)
            # An old copy differs in what others changed since; Omni says the same, but it is a race and no breach.
            raise refused if new.metadata.version == old.metadata.version else Refused(refused.code, refused.words)

    def check_destroy(self, place: Place) -> None:
        """May it destroy or tear down resources of this type?"""
        if place != _UNSEEN:
            self._check_write(place)

    def sees(self, resource: state_pb2.Resource) -> bool:
        """Whether it sees a resource; of the shared namespaces only what is its own."""
        metadata = resource.metadata
        return metadata.namespace not in (SHARED, EPHEMERAL) or metadata.labels.get(PROVIDER_LABEL) == self._id

    def labelled(self, resource: state_pb2.Resource) -> state_pb2.Resource:
        """The resource as Omni stores it: in the shared namespaces with the provider's label."""
        new = state_pb2.Resource()
        new.CopyFrom(resource)
        if resource.metadata.namespace in (SHARED, EPHEMERAL):
            new.metadata.labels[PROVIDER_LABEL] = self._id
        return new

    def _check_write(self, place: Place) -> None:
        if self._is_own(place) or place in _WRITABLE:
            return
        raise _read_only(place) if place in _FINALIZERS_ONLY | _READABLE else self._no_access(place)

    def _is_own(self, place: Place) -> bool:
        if place.namespace != self._own:
            return False
        suffix = f".{self._id}.infraprovider.sidero.dev"
        if not place.type.endswith(suffix):
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"resource type must have the suffix {suffix!r}")
        return True

    def _no_access(self, place: Place) -> Forbidden:
        if place.namespace.startswith(SHARED) and place.namespace not in (SHARED, EPHEMERAL):
            words = f"infra provider {self._id!r} is not allowed in namespace {place.namespace!r}, only in "
            return Forbidden(words + f"{SHARED!r}, {EPHEMERAL!r} and {self._own!r}")
        return Forbidden(f"insufficient role: {place.type}")


def _read_only(place: Place) -> Forbidden:
    return Forbidden(f"only read access is permitted: {place.type}")


def _without_finalizers(resource: state_pb2.Resource) -> tuple[object, ...]:
    """What must not differ; versions are compared later."""
    metadata = resource.metadata
    spec = resource.spec.proto_spec
    return metadata.phase, metadata.owner, dict(metadata.labels), dict(metadata.annotations), spec
