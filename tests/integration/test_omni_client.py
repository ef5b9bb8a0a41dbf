"""The client against the stand-in Omni over real gRPC."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.machine.model import Phase
from app.omni.client import Omni
from app.omni.errors import (
    AlreadyExists,
    Conflict,
    InvalidRequest,
    NotFound,
    OmniUnavailable,
    OwnerConflict,
    PendingFinalizers,
    PermissionRefused,
    PhaseConflict,
)
from app.omni.kinds import Kind
from app.omni.watch import Bootstrap, Changed, Destroyed, Watch
from lab.omni.admin import STATIC_PROVIDER
from lab.omni.thread import OmniThread
from protos.gen.cosi import state_pb2
from protos.gen.provider import records_pb2

M = "5d8b1f0e-0000-4000-8000-000000000001"
N = "5d8b1f0e-0000-4000-8000-000000000002"
OURS = "bm.MachineStatusController"


@pytest.fixture
def server():
    with OmniThread("bm") as stand_in:
        yield stand_in


@pytest.fixture
def omni(server):
    with Omni(server.endpoint, "bm") as client:
        client.create(Kind.PROVIDER_STATUS, "bm", labels={STATIC_PROVIDER: ""})
        yield client


@pytest.fixture
def machine(server, omni):
    """A machine that has joined."""
    server.do(lambda o: o.join(M))
    return omni.get(Kind.INFRA_MACHINE, M)


def _calls(server):
    return dict(server.do(lambda o: o.calls.copy()))


def _wiped(draft):
    draft.spec.initial_wipe_done = True


# Reading and creating


def test_what_is_created_is_read_and_listed(omni):
    spec = records_pb2.WipeStatusSpec(last_wipe_id="w1")
    made = omni.create(Kind.WIPE_STATUS, M, spec, labels={"a": "b"}, annotations={"c": "d"}, finalizers=["bm.X"])
    assert (made.version, made.owner, made.finalizers) == (1, "bm.WipeStatusController", ("bm.X",))
    assert (made.labels, made.annotations, made.spec) == ({"a": "b"}, {"c": "d"}, spec)
    assert made.created_ns > 0
    assert made.raw.metadata.updated.seconds > 0
    assert omni.get(Kind.WIPE_STATUS, M) == made
    assert omni.list(Kind.WIPE_STATUS) == [made]


def test_what_is_missing_reads_as_none_and_lists_as_nothing(omni):
    assert omni.get(Kind.WIPE_STATUS, M) is None
    assert omni.list(Kind.WIPE_STATUS) == []


def test_create_of_what_exists_raises(omni):
    omni.create(Kind.WIPE_STATUS, M)
    with pytest.raises(AlreadyExists):
        omni.create(Kind.WIPE_STATUS, M)


def test_label_of_the_provider_is_set_by_omni(omni):
    assert omni.get(Kind.PROVIDER_STATUS, "bm").labels["omni.sidero.dev/infra-provider-id"] == "bm"


def test_create_of_what_is_omnis_is_refused(omni):
    with pytest.raises(PermissionRefused):
        omni.create(Kind.INFRA_MACHINE, M)
    with pytest.raises(InvalidRequest):
        omni.create(Kind.PROVIDER_STATUS, "other")


def test_join_config_is_read(omni):
    config = omni.get(Kind.PROVIDER_JOIN_CONFIG, "bm").spec.config
    assert config.kernel_args[0].startswith("siderolink.api=")
    assert "SideroLinkConfig" in config.config


# Updating


def test_update_from_a_known_copy_takes_one_call(server, omni):
    known = omni.create(Kind.WIPE_STATUS, M)
    updated = omni.update(Kind.WIPE_STATUS, M, _wiped, known=known)
    assert (updated.version, updated.spec.initial_wipe_done) == (2, True)
    assert _calls(server).get("Get WipeStatus") is None


def test_update_that_changes_nothing_makes_no_call(server, omni):
    known = omni.create(Kind.WIPE_STATUS, M)
    assert omni.update(Kind.WIPE_STATUS, M, lambda _: None, known=known) == known
    assert _calls(server).get("Update WipeStatus") is None


def test_update_from_an_old_copy_is_done_again_on_the_present_one(omni):
    old = omni.create(Kind.WIPE_STATUS, M)
    omni.update(Kind.WIPE_STATUS, M, lambda d: setattr(d.spec, "last_wipe_id", "w2"))
    spec = omni.update(Kind.WIPE_STATUS, M, _wiped, known=old).spec
    assert (spec.last_wipe_id, spec.initial_wipe_done) == ("w2", True)


def test_update_from_a_copy_of_what_is_gone_creates_it_if_asked(omni):
    old = omni.create(Kind.WIPE_STATUS, M)
    omni.destroy(Kind.WIPE_STATUS, M)
    with pytest.raises(NotFound):
        omni.update(Kind.WIPE_STATUS, M, _wiped, known=old)
    made = omni.update(Kind.WIPE_STATUS, M, _wiped, known=old, create=True)
    assert (made.version, made.spec.initial_wipe_done, made.owner) == (1, True, "bm.WipeStatusController")
    assert made.order > old.order


def test_update_of_what_is_missing_raises_without_a_wait(omni):
    with pytest.raises(NotFound):
        omni.update(Kind.WIPE_STATUS, M, _wiped)


def test_many_who_update_one_resource_all_get_through(omni):
    omni.create(Kind.WIPE_STATUS, M)

    def count(draft):
        draft.spec.last_wipe_install_event_id += 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: omni.update(Kind.WIPE_STATUS, M, count), range(20)))
    assert omni.get(Kind.WIPE_STATUS, M).spec.last_wipe_install_event_id == 20


def test_update_that_always_loses_gives_up_with_the_conflict(omni, monkeypatch):
    monkeypatch.setattr("app.omni.client.CONFLICT_PAUSE_S", 0.001)
    omni.create(Kind.WIPE_STATUS, M)
    tries = []

    def lose(draft):
        tries.append(draft)
        draft.spec.last_wipe_install_event_id += 1
        if len(tries) < 100:
            omni.update(Kind.WIPE_STATUS, M, lambda d: setattr(d.spec, "last_wipe_id", str(len(tries))))

    with pytest.raises(Conflict):
        omni.update(Kind.WIPE_STATUS, M, lose)
    assert 2 < len(tries) < 20


def test_update_that_races_a_create_edits_what_the_other_made(omni):
    raced = []

    def race(draft):
        if not raced:
            raced.append(omni.create(Kind.WIPE_STATUS, M, records_pb2.WipeStatusSpec(last_wipe_id="theirs")))
        draft.spec.initial_wipe_done = True

    spec = omni.update(Kind.WIPE_STATUS, M, race, create=True).spec
    assert (spec.last_wipe_id, spec.initial_wipe_done) == ("theirs", True)


def test_update_of_what_is_thought_absent_creates_it_unread_or_edits_what_is_there(omni, server):
    omni.update(Kind.WIPE_STATUS, M, _wiped, create=True, absent=True)
    assert _calls(server).get("Get WipeStatus") is None
    spec = omni.update(
        Kind.WIPE_STATUS, M, lambda d: setattr(d.spec, "last_wipe_id", "w"), create=True, absent=True
    ).spec
    assert (spec.last_wipe_id, spec.initial_wipe_done) == ("w", True)


def test_update_of_what_is_tearing_down_needs_to_say_so(omni):
    omni.create(Kind.WIPE_STATUS, M)
    omni.teardown(Kind.WIPE_STATUS, M)
    with pytest.raises(PhaseConflict):
        omni.update(Kind.WIPE_STATUS, M, _wiped)
    updated = omni.update(Kind.WIPE_STATUS, M, _wiped, expected_phase=None)
    assert updated.phase is Phase.TEARING_DOWN
    assert updated.spec.initial_wipe_done


def test_what_another_program_owns_is_updated_with_its_owner(server, omni):
    omni.create(Kind.WIPE_STATUS, M)
    raw = omni.get(Kind.WIPE_STATUS, M).raw
    raw.metadata.owner = ""
    place = server.do(lambda o: o._place(Kind.WIPE_STATUS))
    server.do(lambda o: (o._store.destroy(place, M, "bm.WipeStatusController"), o._store.create(raw, "theirs")))
    assert omni.update(Kind.WIPE_STATUS, M, _wiped).owner == "theirs"
    with pytest.raises(OwnerConflict):
        omni.destroy(Kind.WIPE_STATUS, M)


# Finalizers and removal


def test_finalizer_is_put_on_a_machine_once_and_taken_off_with_all_of_the_provider(server, omni, machine):
    held = omni.add_finalizer(Kind.INFRA_MACHINE, M, known=machine)
    assert held.finalizers == (OURS,)
    assert omni.add_finalizer(Kind.INFRA_MACHINE, M).version == held.version
    omni.update(Kind.INFRA_MACHINE, M, lambda d: d.finalizers.extend(["bm.WipeStatusController", "else"]))
    assert omni.remove_finalizers(Kind.INFRA_MACHINE, M).finalizers == ("else",)


def test_finalizer_on_an_old_copy_of_a_machine_goes_through(server, omni, machine):
    # Omni takes an old copy for a change of the spec, which is not ours to change.
    server.do(lambda o: o.accept(M))
    assert omni.add_finalizer(Kind.INFRA_MACHINE, M, known=machine).finalizers == (OURS,)


def test_spec_of_a_machine_is_not_ours_to_change(server, omni, machine):
    with pytest.raises(PermissionRefused):
        omni.update(Kind.INFRA_MACHINE, M, lambda d: setattr(d.spec, "cordoned", True))


def test_refusal_of_the_role_is_looked_into_once_and_not_tried_again(server, omni, machine):
    before = _calls(server)
    with pytest.raises(PermissionRefused):
        omni.update(Kind.INFRA_MACHINE, M, lambda d: setattr(d.spec, "cordoned", True), known=machine)
    after = _calls(server)
    made = {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}
    assert made == {"Update InfraMachines": 1, "Get InfraMachines": 1}


def test_phase_conflict_is_not_tried_again(server, omni):
    omni.create(Kind.WIPE_STATUS, M)
    omni.teardown(Kind.WIPE_STATUS, M)
    with pytest.raises(PhaseConflict):
        omni.update(Kind.WIPE_STATUS, M, _wiped)
    assert _calls(server)["Update WipeStatus"] == 1


def test_machine_that_goes_takes_no_finalizer_and_is_gone_with_its_last(server, omni, machine):
    omni.update(Kind.INFRA_MACHINE, M, lambda d: d.finalizers.append("bm.RebootStatusController"))
    server.do(lambda o: o.remove(M))
    with pytest.raises(PhaseConflict):
        omni.add_finalizer(Kind.INFRA_MACHINE, M)
    omni.remove_finalizers(Kind.INFRA_MACHINE, M, known=machine)  # a copy older than the finalizer
    assert omni.get(Kind.INFRA_MACHINE, M) is None
    assert omni.remove_finalizers(Kind.INFRA_MACHINE, M) is None


def test_destroy_with_a_finalizer_pending_raises_until_it_is_gone(omni):
    omni.create(Kind.REBOOT_STATUS, M, finalizers=["bm.RebootStatusController"])
    assert not omni.teardown(Kind.REBOOT_STATUS, M)
    with pytest.raises(PendingFinalizers):
        omni.destroy(Kind.REBOOT_STATUS, M)
    omni.remove_finalizers(Kind.REBOOT_STATUS, M)
    assert omni.teardown(Kind.REBOOT_STATUS, M)
    omni.destroy(Kind.REBOOT_STATUS, M)
    with pytest.raises(NotFound):
        omni.destroy(Kind.REBOOT_STATUS, M)


def test_remove_takes_our_finalizers_off_in_one_update_and_is_fine_with_nothing(server, omni):
    omni.create(Kind.MACHINE_STATUS, M, finalizers=[OURS, "bm.RebootStatusController"])
    omni.remove(Kind.MACHINE_STATUS, M)
    omni.remove(Kind.MACHINE_STATUS, M)
    assert omni.get(Kind.MACHINE_STATUS, M) is None
    assert _calls(server)["Update MachineStatus"] == 1


def test_remove_leaves_what_others_hold(omni):
    omni.create(Kind.MACHINE_STATUS, M, finalizers=[OURS, "other"])
    with pytest.raises(PendingFinalizers):
        omni.remove(Kind.MACHINE_STATUS, M)
    assert omni.get(Kind.MACHINE_STATUS, M).finalizers == ("other",)


# Watching


def test_watch_begins_with_all_and_goes_on_with_each_change(server, omni, machine):
    with omni.watch(Kind.INFRA_MACHINE) as watch:
        assert next(watch) == Bootstrap((machine,))
        server.do(lambda o: o.join(N))
        joined = next(watch)
        assert isinstance(joined, Changed)
        assert joined.resource.id == N
        server.do(lambda o: o.accept(M))
        assert next(watch).resource.spec.acceptance_status == 1
        server.do(lambda o: o.remove(M))
        assert next(watch).resource.phase is Phase.TEARING_DOWN
        gone = next(watch)
        assert isinstance(gone, Destroyed)
        assert (gone.resource.id, gone.resource.order > machine.order) == (M, True)


def test_watch_of_nothing_begins_with_an_empty_bootstrap(omni):
    with omni.watch(Kind.WIPE_STATUS) as watch:
        assert next(watch) == Bootstrap(())


def test_watch_does_not_show_what_is_another_providers(server, omni):
    with Omni(server.endpoint, "bm") as client:
        with client.watch(Kind.INFRA_MACHINE) as watch:
            next(watch)
            raw = client.create(Kind.WIPE_STATUS, N).raw
            raw.metadata.namespace, raw.metadata.type = "infra-provider", Kind.INFRA_MACHINE.type("bm")
            raw.metadata.labels["omni.sidero.dev/infra-provider-id"] = "other"
            raw.metadata.owner = ""
            server.do(lambda o: o._store.create(raw, "InfraMachineController"))
            server.do(lambda o: o.join(M))
            assert next(watch).resource.id == M
        assert client.get(Kind.INFRA_MACHINE, N) is None
        assert [r.id for r in client.list(Kind.INFRA_MACHINE)] == [M]


def test_watch_breaks_with_the_server_and_a_new_one_shows_what_was_missed(server, omni, machine):
    with omni.watch(Kind.INFRA_MACHINE) as watch:
        next(watch)
        server.stop()
        with pytest.raises(OmniUnavailable):
            next(watch)
    with pytest.raises(OmniUnavailable):
        omni.get(Kind.INFRA_MACHINE, M)
    server.do(lambda o: o.join(N))
    server.start()
    deadline = time.monotonic() + 15
    while True:
        try:
            with omni.watch(Kind.INFRA_MACHINE) as watch:
                assert {r.id for r in next(watch).resources} == {M, N}
                return
        except OmniUnavailable:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_health_status_is_gone_after_a_restart_and_made_again(server, omni):
    beat = omni.update(Kind.PROVIDER_HEALTH_STATUS, "bm", lambda _: None, create=True)
    server.stop()
    server.start()
    deadline = time.monotonic() + 15
    while True:
        try:
            again = omni.update(
                Kind.PROVIDER_HEALTH_STATUS, "bm", lambda d: setattr(d.spec, "error", "x"), known=beat, create=True
            )
            break
        except OmniUnavailable:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert (again.version, again.owner) == (1, "bm.ProviderHealthStatusController")


def test_error_event_ends_the_watch_although_its_stream_stays_open(server, omni):
    with omni.watch(Kind.INFRA_MACHINE) as watch:
        next(watch)
        server.do(lambda o: o.fail_watches("required revision has been compacted"))
        with pytest.raises(OmniUnavailable, match="required revision has been compacted"):
            next(watch)


def test_watch_that_is_cancelled_from_another_thread_ends_without_an_error(omni):
    watch = omni.watch(Kind.INFRA_MACHINE)
    next(watch)
    timer = threading.Timer(0.2, watch.cancel)
    timer.start()
    assert list(watch) == []
    timer.join()


def test_watch_that_is_cancelled_before_it_began_makes_no_call(server, omni):
    watch = omni.watch(Kind.INFRA_MACHINE)
    watch.cancel()
    assert list(watch) == []
    assert _calls(server).get("Watch InfraMachines") is None


def test_watch_that_never_tells_the_end_of_the_bootstrap_is_given_up(omni):
    # Without api_version 1 Omni leaves that event out.
    request = state_pb2.WatchRequest(
        namespace="infra-provider",
        type=Kind.INFRA_MACHINE.type("bm"),
        options=state_pb2.WatchOptions(bootstrap_contents=True, aggregated=True),
    )
    connection = omni._connection
    start = lambda: connection.open_stream(lambda stub: stub.Watch(request))  # noqa: E731
    watch = Watch(Kind.INFRA_MACHINE, start, connection.error, bootstrap_timeout_s=0.3)
    with pytest.raises(OmniUnavailable, match=r"within 0\.3 s"):
        next(watch)


def test_stand_in_forgets_a_watch_that_has_ended(server, omni):
    place = server.do(lambda o: o._place(Kind.WIPE_STATUS))
    with omni.watch(Kind.WIPE_STATUS) as watch:
        next(watch)
        assert server.do(lambda o: len(o._store._observers[place])) == 1
    deadline = time.monotonic() + 5
    while server.do(lambda o: len(o._store._observers[place])):
        assert time.monotonic() < deadline
        time.sleep(0.02)


# The connection


def test_each_call_is_signed_with_its_method(server):
    signed = []

    def sign(method):
        signed.append(method)
        return (("x-test", "1"),)

    with Omni(server.endpoint, "bm", signer=sign) as client:
        client.get(Kind.WIPE_STATUS, M)
        client.list(Kind.WIPE_STATUS)
        with client.watch(Kind.WIPE_STATUS) as watch:
            next(watch)
        client.remove(Kind.WIPE_STATUS, M)
    assert signed == [f"/cosi.resource.State/{method}" for method in ("Get", "List", "Watch", "Teardown")]


def test_call_that_gets_no_answer_ends_at_its_deadline(server):
    with Omni(server.endpoint, "bm", timeout_s=0.3) as client:
        client.get(Kind.WIPE_STATUS, M)
        server._loop.call_soon_threadsafe(time.sleep, 1.0)
        began = time.monotonic()
        with pytest.raises(OmniUnavailable):
            client.get(Kind.WIPE_STATUS, M)
        assert time.monotonic() - began < 0.9


GREENLETS = """
from gevent import monkey
monkey.patch_all()
import grpc.experimental.gevent
grpc.experimental.gevent.init_gevent()
import sys
import gevent
from app.omni.client import Omni
from app.omni.kinds import Kind

omni = Omni(sys.argv[1], "bm")
watch = omni.watch(Kind.WIPE_STATUS)
seen = gevent.spawn(lambda: [next(watch) for _ in range(51)])
gevent.sleep(0.5)
def act(n):
    omni.update(Kind.WIPE_STATUS, f"m{n}", lambda d: setattr(d.spec, "last_wipe_id", str(n)), create=True)
gevent.joinall([gevent.spawn(act, n) for n in range(50)], timeout=20, raise_error=True)
seen.join(10)
watch.cancel()
print(len(seen.value))
"""


def test_fifty_greenlets_and_a_watch_share_one_client(server):
    child = subprocess.run(
        [sys.executable, "-c", GREENLETS, server.endpoint],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert child.stdout.strip() == "51", child.stderr


def test_second_stand_in_at_a_port_in_use_fails(server):
    second = OmniThread("bm")
    second._port = int(server.endpoint.rpartition(":")[2])
    second._thread.start()
    try:
        with pytest.raises(RuntimeError, match="bind"):
            second.start()
    finally:
        second._loop.call_soon_threadsafe(second._loop.stop)
        second._thread.join()
        second._loop.close()
