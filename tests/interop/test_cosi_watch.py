"""Watches of the COSI runtime: what comes in them, and what our client makes of it."""

import threading
import time

import grpc
import pytest

from app.machine.model import Phase
from app.omni.client import Omni
from app.omni.errors import OmniUnavailable, WatchEnded
from app.omni.kinds import Kind
from app.omni.watch import Bootstrap, Changed, Destroyed
from protos.gen.cosi import state_pb2
from protos.gen.cosi.state_pb2 import BOOTSTRAPPED, CREATED, DESTROYED, ERRORED, NOOP, UPDATED
from protos.gen.cosi.state_pb2_grpc import StateStub
from protos.gen.provider import records_pb2
from tests.interop.go_omni import PROVIDER, place

pytestmark = pytest.mark.interop

M, N = (f"5d8b1f0e-0000-4000-8000-00000000000{number}" for number in (1, 2))
WIPE = Kind.WIPE_STATUS
LIMIT_S = 10
# More changes than the state server keeps for a watcher that lags behind.
FLOOD = 200


@pytest.fixture
def omni(server):
    with Omni(server.endpoint, PROVIDER) as client:
        yield client


@pytest.fixture
def watch(server):
    """Begin a watch by hand; the answer yields its responses."""
    with grpc.insecure_channel(server.endpoint.removeprefix("http://")) as channel:

        def begin(*, api_version=1, resource_id=None, **options):
            request = state_pb2.WatchRequest(
                **place(WIPE), id=resource_id, options=state_pb2.WatchOptions(**options), api_version=api_version
            )
            call = StateStub(channel).Watch(request, timeout=LIMIT_S)
            assert list(next(call).event) == []
            return call

        yield begin


def spec(wipe_id):
    return records_pb2.WipeStatusSpec(last_wipe_id=wipe_id)


def types(response):
    return [event.event_type for event in response.event]


# What the runtime sends


def test_first_response_is_empty_and_then_comes_each_change(server, watch):
    server.create(WIPE, M)
    call = watch()
    server.update(WIPE, M, spec("w1"), labels={"a": "b"})
    server.teardown(WIPE, M)
    server.destroy(WIPE, M)
    [updated] = next(call).event
    assert (updated.event_type, updated.resource.metadata.version) == (UPDATED, "2")
    assert updated.old.metadata.version == "1"
    [torn_down] = next(call).event
    assert (torn_down.event_type, torn_down.resource.metadata.phase) == (UPDATED, "tearingDown")
    [destroyed] = next(call).event
    assert (destroyed.event_type, destroyed.HasField("old")) == (DESTROYED, False)
    assert dict(destroyed.resource.metadata.labels) == {"a": "b"}
    assert destroyed.resource.spec.proto_spec == spec("w1").SerializeToString()
    assert all(event.bookmark for event in (updated, torn_down, destroyed))


def test_bootstrap_ends_with_its_own_event_and_a_bookmark(server, watch):
    server.create(WIPE, M)
    server.create(WIPE, N)
    call = watch(bootstrap_contents=True, bootstrap_bookmark=True)
    events = [next(call).event[0] for _ in range(4)]
    assert [event.event_type for event in events] == [CREATED, CREATED, BOOTSTRAPPED, NOOP]
    assert [event.resource.metadata.id for event in events] == [M, N, "", ""]
    assert [bool(event.bookmark) for event in events] == [False, False, True, True]
    assert events[2].resource.metadata.version == "undefined"


def test_aggregated_bootstrap_comes_in_one_response(server, watch):
    server.create(WIPE, M)
    server.create(WIPE, N)
    assert types(next(watch(bootstrap_contents=True, aggregated=True))) == [CREATED, CREATED, BOOTSTRAPPED]


def test_old_version_of_the_api_is_not_told_where_the_bootstrap_ends(server, watch):
    server.create(WIPE, M)
    call = watch(bootstrap_contents=True, aggregated=True, api_version=0)
    assert types(next(call)) == [CREATED]


def test_resource_that_stops_to_match_comes_as_destroyed(server, watch):
    server.create(WIPE, M, labels={"rack": "r1"})
    term = state_pb2.LabelTerm(key="rack", op=state_pb2.LabelTerm.EQUAL, value=["r1"])
    call = watch(label_query=[state_pb2.LabelQuery(terms=[term])])
    server.update(WIPE, M, spec(""), labels={"rack": "r2"})
    server.update(WIPE, M, spec(""), labels={"rack": "r1"})
    assert [types(next(call)), types(next(call))] == [[DESTROYED], [CREATED]]


def test_watch_of_ids_that_match_tells_of_no_others(server, watch):
    call = watch(id_query=state_pb2.IDQuery(regexp="2$"), aggregated=True)
    server.create(WIPE, M)
    server.create(WIPE, N)
    seen = []
    while not seen:
        seen = [event.resource.metadata.id for event in next(call).event]
    assert seen == [N]


def test_watch_of_one_resource_begins_with_it_or_a_tombstone(server, watch):
    server.create(WIPE, M)
    call = watch(resource_id=M)
    assert types(next(call)) == [CREATED]
    server.create(WIPE, "another")
    server.update(WIPE, M, spec("w1"))
    assert types(next(call)) == [UPDATED]
    [missing] = next(watch(resource_id=N)).event
    assert (missing.event_type, missing.resource.metadata.version) == (DESTROYED, "undefined")


def test_bookmark_replays_what_came_after_it(server, watch):
    server.create(WIPE, M)
    call = watch(bootstrap_contents=True)
    bookmark = [next(call).event[0] for _ in range(2)][1].bookmark
    server.update(WIPE, M, spec("w1"))
    server.update(WIPE, M, spec("w2"))
    call = watch(start_from_bookmark=bookmark)
    versions = [next(call).event[0].resource.metadata.version for _ in range(2)]
    assert versions == ["2", "3"]


def test_bookmark_of_a_state_that_is_gone_is_refused(server, watch):
    server.create(WIPE, M)
    call = watch(bootstrap_contents=True, bootstrap_bookmark=True)
    bookmark = [next(call).event[0] for _ in range(2)][1].bookmark
    server.create(WIPE, N)
    server.stop()
    server.forget()
    server.start()
    with pytest.raises(grpc.RpcError) as caught:
        _until_it_answers(lambda: watch(start_from_bookmark=bookmark), grpc.StatusCode.UNAVAILABLE)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_watcher_that_lags_too_far_behind_is_told_and_then_hears_nothing_more(server, watch):
    server.create(WIPE, M)
    call = watch(aggregated=True)
    server.hold()
    server.update(WIPE, M, spec("w"), times=FLOOD)
    server.release()
    events = []
    while not events or events[-1].event_type != ERRORED:
        events += next(call).event
    assert "buffer overrun" in events[-1].error
    server.update(WIPE, M, spec("other"))
    timer = threading.Timer(0.5, call.cancel)
    timer.start()
    with pytest.raises(grpc.RpcError) as caught:
        next(call)
    assert caught.value.code() is grpc.StatusCode.CANCELLED
    timer.join()


def _until_it_answers(call, code, limit_s=15.0):
    deadline_s = time.monotonic() + limit_s
    while True:
        try:
            return call()
        except grpc.RpcError as error:
            if error.code() is not code or time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)


# What our client makes of it


def test_watch_begins_with_all_and_goes_on_with_each_change(server, omni):
    server.create(Kind.INFRA_MACHINE, M)
    with omni.watch(Kind.INFRA_MACHINE) as watch:
        assert next(watch) == Bootstrap((omni.get(Kind.INFRA_MACHINE, M),))
        server.create(Kind.INFRA_MACHINE, N, labels={"a": "b"})
        assert next(watch) == Changed(omni.get(Kind.INFRA_MACHINE, N))
        held = omni.add_finalizer(Kind.INFRA_MACHINE, N)
        assert next(watch) == Changed(held)
        server.teardown(Kind.INFRA_MACHINE, N)
        assert next(watch).resource.phase is Phase.TEARING_DOWN
        last = omni.remove_finalizers(Kind.INFRA_MACHINE, N)
        assert next(watch) == Changed(last)
        server.destroy(Kind.INFRA_MACHINE, N)
        gone = next(watch)
        assert isinstance(gone, Destroyed)
        assert (gone.resource.id, gone.resource.labels) == (N, {"a": "b"})
        assert gone.resource.order >= last.order


def test_watch_of_nothing_begins_with_nothing(omni):
    with omni.watch(WIPE) as watch:
        assert next(watch) == Bootstrap(())


def test_watch_of_thousands_begins_with_all(omni, server):
    for number in range(2000):
        server.create(WIPE, f"m{number:04}", spec("w" * 500))
    with omni.watch(WIPE) as watch:
        assert [found.id for found in next(watch).resources] == [f"m{number:04}" for number in range(2000)]


def test_what_is_made_anew_under_an_old_id_is_newer(server, omni):
    server.create(WIPE, M)
    with omni.watch(WIPE) as watch:
        [first] = next(watch).resources
        server.update(WIPE, M, spec("w"), times=3)
        assert [next(watch).resource.version for _ in range(3)] == [2, 3, 4]
        server.destroy(WIPE, M)
        gone = next(watch).resource
        server.create(WIPE, M)
        second = next(watch).resource
    assert (second.version, gone.version) == (1, 4)
    assert first.order < gone.order < second.order


@pytest.mark.parametrize("odd", ["a/b", "ä", " "])
def test_changes_of_odd_ids_are_told(server, omni, odd):
    with omni.watch(WIPE) as watch:
        next(watch)
        server.create(WIPE, odd)
        assert next(watch).resource.id == odd


def test_watch_that_lags_too_far_behind_ends_although_its_stream_stays_open(server, omni):
    server.create(WIPE, M)
    with omni.watch(WIPE) as watch:
        next(watch)
        server.hold()
        server.update(WIPE, M, spec("w"), times=FLOOD)
        server.release()
        with pytest.raises(WatchEnded, match="buffer overrun"):
            list(watch)
    with omni.watch(WIPE) as watch:
        assert next(watch).resources[0].version == FLOOD + 1


def test_server_that_ends_breaks_its_watches_and_a_new_one_shows_what_was_missed(server, omni):
    server.create(WIPE, M)
    with omni.watch(WIPE) as watch:
        next(watch)
        server.stop()
        began_s = time.monotonic()
        # As a real Omni ends: with no status, and so neither UNAVAILABLE.
        with pytest.raises(WatchEnded, match="Stream removed"):
            next(watch)
        assert time.monotonic() - began_s < 5
    server.create(WIPE, N)
    server.start()
    assert {found.id for found in _first(omni).resources} == {M, N}


def test_connection_that_breaks_ends_the_watch(server, omni):
    with omni.watch(WIPE) as watch:
        next(watch)
        assert server.drop() >= 1
        with pytest.raises(OmniUnavailable):
            next(watch)
    assert _first(omni) == Bootstrap(())


def test_server_whose_data_is_gone_is_seen_in_the_next_bootstrap(server, omni):
    server.create(WIPE, M)
    with omni.watch(WIPE) as watch:
        next(watch)
        server.stop()
        server.forget()
        server.start()
        with pytest.raises(OmniUnavailable):
            next(watch)
    assert _first(omni) == Bootstrap(())


def test_watch_that_is_cancelled_from_another_thread_ends_without_an_error(omni):
    watch = omni.watch(WIPE)
    next(watch)
    timer = threading.Timer(0.2, watch.cancel)
    timer.start()
    assert list(watch) == []
    timer.join()


def _first(omni, limit_s=15.0):
    """The bootstrap of a new watch, once the server answers."""
    deadline_s = time.monotonic() + limit_s
    while True:
        try:
            with omni.watch(WIPE) as watch:
                return next(watch)
        except OmniUnavailable:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
