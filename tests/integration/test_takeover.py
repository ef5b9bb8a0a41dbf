"""Taking over from the Go provider and giving back: the same records, owners and finalizers, both ways."""

import signal
import sys
import urllib.error
import urllib.request

import pytest

from app.omni.kinds import EPHEMERAL, SHARED, Kind
from lab.omni.store import Place
from protos.gen.omni import specs_pb2
from tests.integration.children import wait_until
from tests.integration.fault_site import FaultSite
from tests.integration.whole_site import UP_S

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

ID = "bare-metal"
OWN = f"{SHARED}:{ID}"
# What the Go provider calls its controllers, each of which puts its finalizer on a machine.
CONTROLLERS = (
    "MachineStatus",
    "BMCConfiguration",
    "InfraMachineStatus",
    "PowerOperation",
    "RebootStatus",
    "WipeStatus",
)
SIX = [f"{ID}.{name}Controller" for name in CONTROLLERS]
OWN_KINDS = ("MachineStatus", "BMCConfiguration", "PowerOperation", "RebootStatus", "WipeStatus")


def own(name):
    return Place(OWN, f"{name}.{ID}.infraprovider.sidero.dev")


MACHINES = Place(SHARED, "InfraMachines.omni.sidero.dev")
STATUSES = Place(SHARED, "InfraMachineStatuses.omni.sidero.dev")
HEALTH = Place(EPHEMERAL, "InfraProviderHealthStatuses.omni.sidero.dev")


def change(omni, place, edit):
    """Change all resources of a type as whoever owns them would."""
    for resource in omni._store.list(place):
        edit(resource)
        omni._store.update(resource, resource.metadata.owner)


def leave_as_the_go_provider_does(omni):
    """Turn what ours has left into what the Go provider leaves."""

    def all_six(resource):
        resource.metadata.finalizers[:] = SIX

    def watched_by_the_reboot_controller(resource):
        resource.metadata.finalizers[:] = [f"{ID}.RebootStatusController"]

    def no_labels_of_ours(resource):
        kept = {k: v for k, v in resource.metadata.labels.items() if k.startswith("omni.sidero.dev/")}
        resource.metadata.labels.clear()
        resource.metadata.labels.update(kept)

    def yaml(resource):
        resource.spec.yaml_spec = "written: by another program\n"

    def long_ago(resource):
        resource.metadata.annotations.clear()
        spec = specs_pb2.InfraProviderHealthStatusSpec()
        spec.last_heartbeat_timestamp.FromSeconds(1)
        resource.spec.proto_spec = spec.SerializeToString()

    for name in OWN_KINDS:
        change(omni, own(name), yaml)
    for name in ("MachineStatus", "BMCConfiguration"):
        change(omni, own(name), watched_by_the_reboot_controller)
    change(omni, MACHINES, all_six)
    change(omni, STATUSES, no_labels_of_ours)
    change(omni, HEALTH, long_ago)


def stop(site):
    site.process.send_signal(signal.SIGTERM)
    assert site.process.wait(30) == 0


def start_elsewhere(site):
    """Start the provider as on a host that never ran it."""
    options = [o for o in site.options if not o.startswith("--state-dir")]
    site.process = site.start("run", [*options, f"--state-dir={site.folder / 'elsewhere'}"])
    wait_until(lambda: ready(site), UP_S)


def ready(site):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{site.port}/readyz", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def owners_and_finalizers(omni, place):
    return {(r.metadata.owner, *r.metadata.finalizers) for r in omni._store.list(place)}


def test_what_the_go_provider_left_is_carried_on_torn_down_and_nothing_stays(tmp_path):
    with FaultSite(tmp_path, machines=4, wipe_s=1, boot_s=0.2) as site:
        idle, in_talos, leaves, pending = range(4)
        site.join_all()
        site.accept(idle, in_talos, leaves)
        site.until_ready_and_off(idle, in_talos, leaves)
        site.allocate(in_talos, leaves)
        site.until_in_talos(in_talos, leaves)
        stop(site)
        site.omni(leave_as_the_go_provider_does)
        commands = [site.asked(place) for place in range(4)]

        start_elsewhere(site)
        site.until(lambda rack: rack.observe(site.machines[idle]).ready, 30, "is ready still")
        site.allocate(idle)
        site.until_in_talos(idle)
        assert site.asked(idle) - commands[idle] == {"poweron": 1}
        assert [site.asked(p) for p in (in_talos, pending)] == [commands[in_talos], commands[pending]]
        assert site.wipes() == [(1, 1, 0), (1, 1, 0), (1, 1, 0), (0, 0, 0)]
        assert site.do(lambda: site.machines[in_talos].counts["booted Talos"]) == 1

        site.deallocate(leaves)
        site.until_ready_and_off(leaves)
        assert site.wipes(leaves) == [(2, 2, 0)]
        health = site.omni(lambda omni: omni.get(Kind.PROVIDER_HEALTH_STATUS, ID))
        assert health.spec.last_heartbeat_timestamp.seconds > 1

        site.omni(lambda omni: omni.allow_joins(allowed=False))
        site.omni(lambda omni: [omni.remove(m.id) for m in site.machines])
        site.until(lambda rack: not any(rack.observe(m).known for m in rack.machines), 60, "removed")
        # A machine whose agent is connected is noted even where Omni does not know it.
        left = site.omni(lambda omni: {(n, r.metadata.id) for n in OWN_KINDS for r in omni._store.list(own(n))})
        assert left <= {("MachineStatus", site.machines[place].id) for place in (idle, in_talos, pending)}
        assert site.omni(lambda omni: omni._store.list(STATUSES)) == []
        assert site.complaints() == []


def test_what_ours_leaves_is_what_the_go_provider_knows(tmp_path):
    with FaultSite(tmp_path, machines=2, wipe_s=1, boot_s=0.2) as site:
        site.join_all()
        site.accept(0, 1)
        site.until_ready_and_off(0, 1)
        site.allocate(1)
        site.until_in_talos(1)
        stop(site)
        ours = (f"{ID}.MachineStatusController",)
        assert site.omni(lambda omni: owners_and_finalizers(omni, MACHINES)) == {("InfraMachineController", *ours)}
        assert site.omni(lambda omni: owners_and_finalizers(omni, STATUSES)) == {
            (f"{ID}.InfraMachineStatusController",)
        }
        for name in OWN_KINDS:
            found = site.omni(lambda omni, n=name: owners_and_finalizers(omni, own(n)))
            assert found <= {(f"{ID}.{name}Controller",)}, name
        types = site.omni(
            lambda omni: {p.type for p, held in omni._store._places.items() if held and p.namespace == OWN}
        )
        assert types <= {own(name).type for name in (*OWN_KINDS, "TLSConfig")}
