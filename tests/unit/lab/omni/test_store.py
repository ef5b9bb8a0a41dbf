import grpc
import pytest

from lab.omni.store import Place, Refused, Store
from protos.gen.cosi import state_pb2

PLACE = Place("ns", "Things")
CODE = grpc.StatusCode


def _thing(version="undefined", phase="running", finalizers=(), owner="", id_="a"):
    metadata = state_pb2.Metadata(
        namespace="ns", type="Things", id=id_, version=version, phase=phase, finalizers=finalizers, owner=owner
    )
    return state_pb2.Resource(metadata=metadata, spec=state_pb2.Spec())


@pytest.fixture
def store():
    return Store()


def _refused(code, act, *args, **kwargs):
    with pytest.raises(Refused) as caught:
        act(*args, **kwargs)
    assert caught.value.code is code
    return caught.value.words


@pytest.mark.parametrize("version", ["undefined", "0", "1", "7"])
def test_created_with_any_version_it_is_version_1(store, version):
    stored = store.create(_thing(version, finalizers=["f"], phase="tearingDown"), "me")
    metadata = stored.metadata
    assert (metadata.version, metadata.owner, metadata.phase) == ("1", "me", "tearingDown")
    assert list(metadata.finalizers) == ["f"]
    assert metadata.created.seconds > 0


@pytest.mark.parametrize("version", ["", "x", "-1"])
def test_version_that_is_no_number_is_unknown(store, version):
    assert "version" in _refused(CODE.UNKNOWN, store.create, _thing(version))


def test_create_of_what_exists_without_spec_or_with_another_owner_is_refused(store):
    store.create(_thing())
    _refused(CODE.ALREADY_EXISTS, store.create, _thing())
    without = _thing(id_="b")
    without.ClearField("spec")
    assert _refused(CODE.UNKNOWN, store.create, without) == "spec is missing"
    assert _refused(CODE.UNKNOWN, store.create, _thing(id_="c", owner="x")) == "owner is already set"


def test_update_takes_only_the_present_version_and_counts_on(store):
    first = store.create(_thing())
    second = store.update(_thing("1", finalizers=["f"]))
    assert second.metadata.version == "2"
    assert second.metadata.created == first.metadata.created
    assert not first.metadata.finalizers
    for version in ("1", "3", "undefined"):
        assert "update conflict" in _refused(CODE.FAILED_PRECONDITION, store.update, _thing(version))


def test_update_by_another_owner_or_in_another_phase_or_of_nothing_is_refused(store):
    _refused(CODE.NOT_FOUND, store.update, _thing("1"))
    store.create(_thing(phase="tearingDown"), "me")
    assert 'is owned by "me"' in _refused(CODE.PERMISSION_DENIED, store.update, _thing("1"))
    _refused(CODE.PERMISSION_DENIED, store.update, _thing("1"), "you")
    words = _refused(CODE.INVALID_ARGUMENT, store.update, _thing("1"), "me", "running")
    assert "is not in phase running" in words
    assert "unknown phase" in _refused(CODE.UNKNOWN, store.update, _thing("1"), "me", "sleeping")


def test_phase_may_be_set_and_set_back_by_update(store):
    store.create(_thing())
    assert store.update(_thing("1", "tearingDown")).metadata.phase == "tearingDown"
    assert store.update(_thing("2", "running")).metadata.phase == "running"


def test_teardown_tells_whether_it_can_be_destroyed_and_repeats_harmlessly(store):
    store.create(_thing(finalizers=["f"]), "me")
    assert not store.teardown(PLACE, "a", "me")
    assert not store.teardown(PLACE, "a", "me")
    assert store.get(PLACE, "a").metadata.version == "2"
    assert "pending finalizers" in _refused(CODE.FAILED_PRECONDITION, store.destroy, PLACE, "a", "me")
    store.update(_thing("2", "tearingDown"), "me")
    assert store.teardown(PLACE, "a", "me")
    _refused(CODE.PERMISSION_DENIED, store.destroy, PLACE, "a", "you")
    store.destroy(PLACE, "a", "me")
    _refused(CODE.NOT_FOUND, store.destroy, PLACE, "a", "me")
    _refused(CODE.NOT_FOUND, store.teardown, PLACE, "a", "me")


def test_running_resource_without_finalizers_may_be_destroyed(store):
    store.create(_thing())
    store.destroy(PLACE, "a")
    assert store.list(PLACE) == []


def test_observers_are_told_of_each_change_in_order_also_of_those_they_make(store):
    seen = []

    def reap(event):
        if event.resource.metadata.phase == "tearingDown" and event.event_type == state_pb2.UPDATED:
            store.destroy(PLACE, event.resource.metadata.id)

    store.observe(PLACE, reap)
    stop = store.observe(PLACE, seen.append)
    store.observe(Place("other", "Things"), seen.append)
    store.create(_thing())
    store.teardown(PLACE, "a")
    stop()
    store.create(_thing())
    told = [state_pb2.EventType.Name(event.event_type) for event in seen]
    assert told == ["CREATED", "UPDATED", "DESTROYED"]
    assert [seen[1].old.metadata.version, seen[1].resource.metadata.version] == ["1", "2"]
    bookmarks = [event.bookmark for event in seen]
    assert bookmarks == sorted(set(bookmarks))
