"""Our client against the COSI runtime: what it writes is what controllers see, and the other way round."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.machine.model import Phase
from app.omni.client import Omni
from app.omni.errors import (
    AlreadyExists,
    Conflict,
    NotFound,
    OmniUnavailable,
    OwnerConflict,
    PendingFinalizers,
    PhaseConflict,
)
from app.omni.kinds import Kind
from protos.gen.omni import specs_pb2
from protos.gen.provider import records_pb2
from tests.interop.go_omni import PROVIDER

pytestmark = pytest.mark.interop

M = "5d8b1f0e-0000-4000-8000-000000000001"
OURS = "bm.MachineStatusController"
GO_FINALIZERS = tuple(
    f"bm.{name}Controller"
    for name in (
        "MachineStatus",
        "BMCConfiguration",
        "InfraMachineStatus",
        "PowerOperation",
        "RebootStatus",
        "WipeStatus",
    )
)
WIPED = records_pb2.WipeStatusSpec(last_wipe_id="w1", last_wipe_install_event_id=2**63 + 7, initial_wipe_done=True)


@pytest.fixture
def omni(server):
    with Omni(server.endpoint, PROVIDER) as client:
        yield client


def _wiped(draft):
    draft.spec.initial_wipe_done = True


# Reading


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.value)
def test_each_kind_is_read_as_a_controller_has_made_it(server, omni, kind):
    server.create(kind, "x", labels={"omni.sidero.dev/a": "", "b": "c"}, annotations={"d": "e"}, finalizers=("f",))
    found = omni.get(kind, "x")
    assert (found.labels, found.annotations, found.finalizers) == (
        {"omni.sidero.dev/a": "", "b": "c"},
        {"d": "e"},
        ("f",),
    )
    assert (found.version, found.phase, found.owner) == (1, Phase.RUNNING, kind.owner(PROVIDER))
    assert abs(found.created_ns / 1e9 - time.time()) < 60
    assert omni.list(kind) == [found]


def test_what_is_missing_reads_as_none_and_lists_as_nothing(omni):
    assert omni.get(Kind.WIPE_STATUS, M) is None
    assert omni.list(Kind.WIPE_STATUS) == []


def test_spec_of_a_machine_is_read(server, omni):
    spec = specs_pb2.InfraMachineSpec(preferred_power_state=1, extensions=["a/b", "c"], install_event_id=2**64 - 1)
    server.create(Kind.INFRA_MACHINE, M, spec)
    assert omni.get(Kind.INFRA_MACHINE, M).spec == spec


@pytest.mark.parametrize("resource_id", ["a b", "a/b", "ä", "x" * 300, "%41", '"', "a\nb", ".", "\u200b"])
def test_ids_with_odd_characters_stay_what_they_are(server, omni, resource_id):
    omni.create(Kind.WIPE_STATUS, resource_id, WIPED)
    assert server.get(Kind.WIPE_STATUS, resource_id).metadata.id == resource_id
    assert omni.get(Kind.WIPE_STATUS, resource_id).id == resource_id
    assert [found.id for found in omni.list(Kind.WIPE_STATUS)] == [resource_id]
    omni.remove(Kind.WIPE_STATUS, resource_id)
    assert omni.list(Kind.WIPE_STATUS) == []


def test_list_of_thousands_comes_whole(server, omni):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: omni.create(Kind.WIPE_STATUS, f"m{n:04}", WIPED), range(2000)))
    assert [found.id for found in omni.list(Kind.WIPE_STATUS)] == [f"m{n:04}" for n in range(2000)]


def test_large_spec_passes_both_ways(server, omni):
    spec = specs_pb2.InfraProviderStatusSpec(icon="i" * 8_000_000)
    omni.create(Kind.PROVIDER_STATUS, PROVIDER, spec)
    assert omni.get(Kind.PROVIDER_STATUS, PROVIDER).spec == spec


# Creating


def test_what_we_create_is_what_a_controller_sees(server, omni):
    made = omni.create(Kind.WIPE_STATUS, M, WIPED, labels={"a": "b"}, annotations={"c": "d"}, finalizers=[OURS])
    raw = server.get(Kind.WIPE_STATUS, M)
    assert raw == made.raw
    assert (raw.metadata.owner, raw.metadata.version, raw.metadata.phase) == ("bm.WipeStatusController", "1", "running")
    assert records_pb2.WipeStatusSpec.FromString(raw.spec.proto_spec) == WIPED
    assert abs(raw.metadata.updated.seconds - time.time()) < 60


def test_create_of_what_exists_raises(omni):
    omni.create(Kind.WIPE_STATUS, M)
    with pytest.raises(AlreadyExists):
        omni.create(Kind.WIPE_STATUS, M)


def test_empty_spec_is_one(server, omni):
    omni.create(Kind.WIPE_STATUS, M)
    assert server.get(Kind.WIPE_STATUS, M).spec.proto_spec == b""


# Updating


def test_update_raises_the_version_and_keeps_the_rest(server, omni):
    known = omni.create(Kind.WIPE_STATUS, M, labels={"a": "b"}, annotations={"c": "d"}, finalizers=["f"])
    updated = omni.update(Kind.WIPE_STATUS, M, _wiped, known=known)
    assert (updated.version, updated.spec.initial_wipe_done) == (2, True)
    assert updated.raw == server.get(Kind.WIPE_STATUS, M)
    assert (updated.labels, updated.annotations, updated.finalizers) == ({"a": "b"}, {"c": "d"}, ("f",))
    assert updated.created_ns == known.created_ns
    assert updated.order > known.order


def test_update_that_changes_nothing_is_not_sent(server, omni):
    known = omni.create(Kind.WIPE_STATUS, M, WIPED)
    server.calls()
    assert omni.update(Kind.WIPE_STATUS, M, _wiped, known=known) == known
    assert server.calls() == []


def test_update_from_an_old_copy_is_done_again_on_the_present_one(server, omni):
    old = omni.create(Kind.WIPE_STATUS, M)
    server.update(Kind.WIPE_STATUS, M, records_pb2.WipeStatusSpec(last_wipe_id="w2"), labels={"new": ""})
    updated = omni.update(Kind.WIPE_STATUS, M, _wiped, known=old)
    assert (updated.spec.last_wipe_id, updated.spec.initial_wipe_done) == ("w2", True)
    assert (updated.version, updated.labels) == (3, {"new": ""})


def test_six_who_put_their_finalizers_on_at_once_all_get_through(server):
    server.create(Kind.INFRA_MACHINE, M)

    def put(name):
        with Omni(server.endpoint, PROVIDER) as client:
            client.update(Kind.INFRA_MACHINE, M, lambda draft: draft.finalizers.append(name))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(put, GO_FINALIZERS))
    assert sorted(server.get(Kind.INFRA_MACHINE, M).metadata.finalizers) == sorted(GO_FINALIZERS)


def test_update_that_always_loses_ends_with_the_conflict(server, omni, monkeypatch):
    monkeypatch.setattr("app.omni.client.CONFLICT_PAUSE_S", 0.001)
    omni.create(Kind.WIPE_STATUS, M)
    tries = []

    def lose(draft):
        tries.append(draft)
        server.update(Kind.WIPE_STATUS, M, records_pb2.WipeStatusSpec(last_wipe_id=str(len(tries))))
        draft.spec.initial_wipe_done = True

    with pytest.raises(Conflict):
        omni.update(Kind.WIPE_STATUS, M, lose)
    assert 2 < len(tries) < 20


def test_update_of_what_is_missing_raises_or_creates(server, omni):
    with pytest.raises(NotFound):
        omni.update(Kind.WIPE_STATUS, M, _wiped)
    omni.update(Kind.WIPE_STATUS, M, _wiped, create=True)
    old = omni.get(Kind.WIPE_STATUS, M)
    server.destroy(Kind.WIPE_STATUS, M)
    again = omni.update(
        Kind.WIPE_STATUS, M, lambda draft: setattr(draft.spec, "last_wipe_id", "w"), known=old, create=True
    )
    assert (again.version, again.owner) == (1, "bm.WipeStatusController")
    assert again.order > old.order


def test_update_of_what_is_tearing_down_needs_to_say_so(server, omni):
    known = omni.create(Kind.WIPE_STATUS, M, finalizers=["f"])
    assert not server.teardown(Kind.WIPE_STATUS, M)
    with pytest.raises(PhaseConflict):
        omni.update(Kind.WIPE_STATUS, M, _wiped)
    # An old copy is a version conflict first; the present one is then in another phase.
    with pytest.raises(PhaseConflict):
        omni.update(Kind.WIPE_STATUS, M, _wiped, known=known)
    assert omni.update(Kind.WIPE_STATUS, M, _wiped, expected_phase=None).phase is Phase.TEARING_DOWN


def test_yaml_of_another_program_goes_with_the_spec_that_it_described(server, omni):
    made = omni.create(Kind.WIPE_STATUS, M).raw
    made.spec.yaml_spec = "initialwipedone: false\n"
    server.destroy(Kind.WIPE_STATUS, M)
    made.metadata.owner = ""
    server.program.ask("create", resource=made.SerializeToString(), owner="bm.WipeStatusController")
    kept = omni.update(Kind.WIPE_STATUS, M, lambda draft: draft.labels.update(a="b"))
    assert server.get(Kind.WIPE_STATUS, M).spec.yaml_spec == "initialwipedone: false\n"
    omni.update(Kind.WIPE_STATUS, M, _wiped, known=kept)
    assert server.get(Kind.WIPE_STATUS, M).spec.yaml_spec == ""


# Owners


def test_what_another_program_owns_is_updated_as_its_owner_and_not_removed(server, omni):
    server.create(Kind.WIPE_STATUS, M, owner="theirs")
    assert omni.update(Kind.WIPE_STATUS, M, _wiped).owner == "theirs"
    with pytest.raises(OwnerConflict):
        omni.destroy(Kind.WIPE_STATUS, M)
    with pytest.raises(OwnerConflict):
        omni.teardown(Kind.WIPE_STATUS, M)


def test_tls_config_has_no_owner_and_is_removed_without_one(server, omni):
    omni.create(Kind.TLS_CONFIG, "tls-config", records_pb2.TLSConfigSpec(ca_cert="c", ca_key="k"))
    assert server.get(Kind.TLS_CONFIG, "tls-config").metadata.owner == ""
    omni.remove(Kind.TLS_CONFIG, "tls-config")
    assert server.get(Kind.TLS_CONFIG, "tls-config") is None


# Finalizers, teardown and destroy


def test_finalizer_of_ours_is_one_that_a_controller_can_take_off(server, omni):
    server.create(Kind.INFRA_MACHINE, M)
    held = omni.add_finalizer(Kind.INFRA_MACHINE, M)
    assert list(server.get(Kind.INFRA_MACHINE, M).metadata.finalizers) == [OURS]
    assert omni.add_finalizer(Kind.INFRA_MACHINE, M, known=held).version == held.version
    server.remove_finalizer(Kind.INFRA_MACHINE, M, OURS)
    assert omni.get(Kind.INFRA_MACHINE, M).finalizers == ()


def test_finalizers_of_a_controller_are_taken_off_in_one_update(server, omni):
    server.create(Kind.INFRA_MACHINE, M)
    server.add_finalizer(Kind.INFRA_MACHINE, M, *GO_FINALIZERS, "else")
    assert not server.teardown(Kind.INFRA_MACHINE, M)
    with pytest.raises(PhaseConflict):
        omni.update(Kind.INFRA_MACHINE, M, lambda draft: draft.finalizers.append("bm.Late"))
    version = omni.get(Kind.INFRA_MACHINE, M).version
    left = omni.remove_finalizers(Kind.INFRA_MACHINE, M)
    assert (left.finalizers, left.version) == (("else",), version + 1)
    server.remove_finalizer(Kind.INFRA_MACHINE, M, "else")
    assert server.teardown(Kind.INFRA_MACHINE, M)
    server.destroy(Kind.INFRA_MACHINE, M)
    assert omni.remove_finalizers(Kind.INFRA_MACHINE, M) is None


def test_destroy_waits_for_the_finalizers_of_others(server, omni):
    omni.create(Kind.REBOOT_STATUS, M)
    server.add_finalizer(Kind.REBOOT_STATUS, M, "other")
    assert not omni.teardown(Kind.REBOOT_STATUS, M)
    with pytest.raises(PendingFinalizers):
        omni.destroy(Kind.REBOOT_STATUS, M)
    with pytest.raises(PendingFinalizers):
        omni.remove(Kind.REBOOT_STATUS, M)
    server.remove_finalizer(Kind.REBOOT_STATUS, M, "other")
    assert omni.teardown(Kind.REBOOT_STATUS, M)
    omni.destroy(Kind.REBOOT_STATUS, M)
    assert server.get(Kind.REBOOT_STATUS, M) is None
    for call in (omni.teardown, omni.destroy):
        with pytest.raises(NotFound):
            call(Kind.REBOOT_STATUS, M)


def test_remove_of_what_a_controller_left_with_its_finalizers_is_through_at_once(server, omni):
    for kind in (Kind.MACHINE_STATUS, Kind.BMC_CONFIGURATION):
        server.create(kind, M)
        server.add_finalizer(kind, M, "bm.RebootStatusController")
        omni.remove(kind, M)
        omni.remove(kind, M)
        assert server.get(kind, M) is None


# The connection


def test_requests_are_compressed_and_carry_what_the_signer_gave(server):
    with Omni(server.endpoint, PROVIDER, signer=lambda method: (("x-test", method),)) as omni:
        omni.create(Kind.WIPE_STATUS, M, WIPED)
        omni.list(Kind.WIPE_STATUS)
        with omni.watch(Kind.WIPE_STATUS) as watch:
            next(watch)
    assert server.calls() == [
        {"method": method, "encoding": "gzip", "test": f"/cosi.resource.State/{method}"}
        for method in ("Create", "List", "Watch")
    ]


def test_calls_go_on_after_the_connection_broke(server, omni):
    omni.create(Kind.WIPE_STATUS, M)
    assert server.drop() == 1
    _until_it_answers(lambda: omni.get(Kind.WIPE_STATUS, M))


def test_call_while_the_server_is_away_says_so_and_works_once_it_is_back(server, omni):
    omni.create(Kind.WIPE_STATUS, M)
    server.stop()
    with pytest.raises(OmniUnavailable):
        omni.get(Kind.WIPE_STATUS, M)
    with pytest.raises(OmniUnavailable):
        omni.list(Kind.WIPE_STATUS)
    server.start()
    assert _until_it_answers(lambda: omni.update(Kind.WIPE_STATUS, M, _wiped)).version == 2


def _until_it_answers(call, limit_s=15.0):
    deadline_s = time.monotonic() + limit_s
    while True:
        try:
            return call()
        except OmniUnavailable:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
