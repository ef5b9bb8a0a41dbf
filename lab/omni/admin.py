"""What machines and an operator do to Omni, and what Omni's own controllers make of it.

A machine joins and is pending; the operator accepts it, puts it into a cluster and takes it out, removes it. Until
Omni has collected a machine's information it wants its power on; after that, off, unless the operator asked for on.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import grpc

from app.machine.model import Acceptance, PreferredPowerState
from app.omni.kinds import Kind
from app.omni.resource import Draft, Resource, blank
from lab.omni.access import PROVIDER_LABEL
from lab.omni.collect import Collector
from lab.omni.store import TEARING_DOWN, Place, Refused, Store
from protos.gen.cosi import state_pb2
from protos.gen.omni import specs_pb2

PREFIX = "omni.sidero.dev/"
ACCEPT_PENDING = f"{PREFIX}accept-pending"
STATIC_PROVIDER = f"{PREFIX}is-static-infra-provider"
CLUSTER_LABELS = tuple(f"{PREFIX}{name}" for name in ("cluster", "machine-set", "role-controlplane", "role-worker"))
# Omni asks a machine for its information once it is connected; that takes about this long.
COLLECT_S = 2.0
CLUSTER = "lab"


class Admin:
    """Omni from the other side than the provider's. All of it belongs to the thread of the stand-in's loop."""

    def __init__(self, provider_id: str, store: Store) -> None:
        self.provider_id = provider_id
        self._store = store
        self._power: dict[str, PreferredPowerState] = {}
        self._collector = Collector(COLLECT_S, self._apply_power)
        self._joins = True
        store.observe(self._place(Kind.INFRA_MACHINE), self._reap)

    # Reading

    def get(self, kind: Kind, resource_id: str) -> Resource | None:
        """A resource as Omni has it."""
        raw = self._store.find(self._place(kind), resource_id)
        return None if raw is None else Resource(kind, raw)

    def list(self, kind: Kind) -> list[Resource]:
        """All resources of a kind."""
        return [Resource(kind, raw) for raw in self._store.list(self._place(kind))]

    # What machines do

    def join(self, machine_id: str, node_unique_token: str = "") -> bool:
        """A machine calls in. False: its provider has not said yet that it is a static one."""
        provider = self.get(Kind.PROVIDER_STATUS, self.provider_id)
        if provider is None or STATIC_PROVIDER not in provider.labels:
            return False
        if self.get(Kind.INFRA_MACHINE, machine_id) is None and self._joins:
            token = node_unique_token or json.dumps({"Fingerprint": machine_id, "Token": str(uuid.uuid4())})
            draft = Draft(blank(Kind.INFRA_MACHINE, self.provider_id, machine_id))
            draft.spec.preferred_power_state = PreferredPowerState.ON
            draft.spec.node_unique_token = token
            draft.labels.update({PROVIDER_LABEL: self.provider_id, ACCEPT_PENDING: ""})
            self._create(draft)
        elif node_unique_token:
            self._attempt(machine_id, lambda d: setattr(d.spec, "node_unique_token", node_unique_token))
        return True

    def connected(self, machine_id: str) -> None:
        """The machine has its connection to Omni."""
        self._collector.connected(machine_id)

    def disconnected(self, machine_id: str) -> None:
        """The machine has lost it."""
        self._collector.disconnected(machine_id)

    def booted(self, machine_id: str) -> None:
        """An installed Talos has started."""

        def count(draft: Draft) -> None:
            draft.spec.install_event_id += 1

        self._attempt(machine_id, count)

    # What an operator does

    def allow_joins(self, *, allowed: bool) -> None:
        """Whether new machines may join; without it a removed one would come back."""
        self._joins = allowed

    def accept(self, machine_id: str) -> None:
        """Take a pending machine in: the provider may wipe it from now on."""
        self._decide(machine_id, Acceptance.ACCEPTED)
        self._collector.accepted(machine_id)

    def reject(self, machine_id: str) -> None:
        """Refuse a pending machine."""
        infra_machine = self._infra_machine(machine_id)
        if infra_machine.spec.acceptance_status == Acceptance.ACCEPTED:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "an accepted machine cannot be rejected")
        self._decide(machine_id, Acceptance.REJECTED)

    def allocate(
        self,
        machine_id: str,
        talos_version: str,
        extensions: Iterable[str] = (),
        *,
        control_plane: bool = False,
    ) -> None:
        """Put a machine into a cluster. The version is without `v`."""
        role = "controlplane" if control_plane else "worker"

        def put_in(draft: Draft) -> None:
            draft.spec.cluster_talos_version = talos_version
            draft.spec.extensions[:] = extensions
            draft.labels[f"{PREFIX}cluster"] = CLUSTER
            draft.labels[f"{PREFIX}machine-set"] = f"{CLUSTER}-{'control-planes' if control_plane else 'workers'}"
            draft.labels[f"{PREFIX}role-{role}"] = ""

        self._change(machine_id, put_in)

    def deallocate(self, machine_id: str) -> str:
        """Take a machine out of its cluster; the answer is the id of the wipe that is due now."""
        wipe_id = str(uuid.uuid4())

        def take_out(draft: Draft) -> None:
            draft.spec.cluster_talos_version = ""
            draft.spec.power_off_request_id = ""
            draft.spec.wipe_id = wipe_id
            for label in CLUSTER_LABELS:
                draft.labels.pop(label, None)

        self._change(machine_id, lambda draft: draft.spec.ClearField("extensions"))
        self._change(machine_id, take_out)
        return wipe_id

    def remove(self, machine_id: str) -> None:
        """Delete a machine: it is gone when the last finalizer is."""
        place = self._place(Kind.INFRA_MACHINE)
        self._store.teardown(place, machine_id, self._owner(Kind.INFRA_MACHINE))

    def set_preferred_power(self, machine_id: str, state: PreferredPowerState) -> None:
        """Ask for an idle machine to be on or off. It shows once Omni has collected its information."""
        self._infra_machine(machine_id)
        self._power[machine_id] = state
        self._apply_power(machine_id)

    def request_reboot(self, machine_id: str) -> str:
        """Ask for one reboot; the answer is its id."""
        reboot_id = str(uuid.uuid4())
        self._change(machine_id, lambda d: setattr(d.spec, "requested_reboot_id", reboot_id))
        return reboot_id

    def power_off_request(self, machine_id: str) -> str:
        """Ask for a machine of a cluster to be kept off; the answer is the request's id."""
        if not self._infra_machine(machine_id).spec.cluster_talos_version:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "only a machine in a cluster is powered off by request")
        request_id = str(uuid.uuid4())
        self._change(machine_id, lambda d: setattr(d.spec, "power_off_request_id", request_id))
        return request_id

    def cordon(self, machine_id: str, cordoned: bool) -> None:  # noqa: FBT001 - cordon(id, False) reads well
        """Keep the provider's hands off a machine, or not."""
        self._change(machine_id, lambda d: setattr(d.spec, "cordoned", cordoned))

    def set_kernel_args(self, machine_id: str, text: str) -> None:
        """Give a machine further kernel arguments."""
        self._change(machine_id, lambda d: setattr(d.spec, "extra_kernel_args", text))

    def set_bmc_config(self, machine_id: str, config: specs_pb2.InfraMachineBMCConfigSpec | None) -> None:
        """Give the login of a machine's BMC, change it, or (None) take it back."""
        place, owner = self._place(Kind.BMC_CONFIG), self._owner(Kind.BMC_CONFIG)
        known = self.get(Kind.BMC_CONFIG, machine_id)
        if config is None:
            if known is not None:
                self._store.destroy(place, machine_id, owner)
            return
        draft = Draft(known or blank(Kind.BMC_CONFIG, self.provider_id, machine_id))
        draft.spec.config.CopyFrom(config)
        draft.labels[PROVIDER_LABEL] = self.provider_id
        if known is None:
            self._create(draft)
        elif draft.changed():
            self._store.update(draft.build(), owner)

    # Omni's own controllers

    def _apply_power(self, machine_id: str) -> None:
        state = PreferredPowerState.ON
        if self._collector.collected(machine_id):
            state = self._power.get(machine_id, PreferredPowerState.OFF)
        self._attempt(machine_id, lambda d: setattr(d.spec, "preferred_power_state", state))

    def _reap(self, event: state_pb2.Event) -> None:
        """An InfraMachine that is tearing down and that nobody holds any more is destroyed, and its BMCConfig."""
        metadata = event.resource.metadata
        if event.event_type == state_pb2.DESTROYED:
            self._collector.forget(metadata.id)
            self._power.pop(metadata.id, None)
            self.set_bmc_config(metadata.id, None)
        elif metadata.phase == TEARING_DOWN and not metadata.finalizers:
            self._store.destroy(self._place(Kind.INFRA_MACHINE), metadata.id, metadata.owner)

    def _decide(self, machine_id: str, acceptance: Acceptance) -> None:
        def decide(draft: Draft) -> None:
            draft.spec.acceptance_status = acceptance
            draft.labels.pop(ACCEPT_PENDING, None)

        self._change(machine_id, decide)

    def _infra_machine(self, machine_id: str) -> Resource:
        return Resource(Kind.INFRA_MACHINE, self._store.get(self._place(Kind.INFRA_MACHINE), machine_id))

    def _change(self, machine_id: str, edit: Callable[[Draft], Any]) -> None:
        draft = Draft(self._infra_machine(machine_id))
        edit(draft)
        if draft.changed():
            self._store.update(draft.build(), self._owner(Kind.INFRA_MACHINE))

    def _attempt(self, machine_id: str, edit: Callable[[Draft], Any]) -> None:
        """Change a machine, if there is one."""
        if self.get(Kind.INFRA_MACHINE, machine_id) is not None:
            self._change(machine_id, edit)

    def _create(self, draft: Draft) -> None:
        self._store.create(draft.build(), self._owner(draft.base.kind))

    def _place(self, kind: Kind) -> Place:
        return Place(kind.namespace(self.provider_id), kind.type(self.provider_id))

    def _owner(self, kind: Kind) -> str:
        return kind.owner(self.provider_id)
