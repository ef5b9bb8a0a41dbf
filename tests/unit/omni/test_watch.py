"""What a watch makes of the messages of Omni, one by one."""

import threading
import weakref

import grpc
import pytest

from app.omni.errors import OmniUnavailable, RoleInsufficient, WatchEnded
from app.omni.kinds import Kind
from app.omni.resource import blank
from app.omni.status import error_for
from app.omni.watch import Bootstrap, Changed, Destroyed, Watch
from protos.gen.cosi import state_pb2

EMPTY = state_pb2.WatchResponse()
COMPACTED = "etcdserver: mvcc: required revision has been compacted"


def raw(machine_id, version="1"):
    made = blank(Kind.WIPE_STATUS, "bm", machine_id).raw
    made.metadata.version = version
    return made


def response(*events):
    return state_pb2.WatchResponse(event=events)


def event(name, machine_id="", version="1", **more):
    return state_pb2.Event(event_type=state_pb2.EventType.Value(name), resource=raw(machine_id, version), **more)


BOOTSTRAPPED = event("BOOTSTRAPPED", version="undefined", bookmark=b"12345678")
NOOP = event("NOOP", version="undefined", bookmark=b"12345678")


class Call(grpc.RpcError):
    """An open stream: first these messages, then this status, or silence until it is cancelled."""

    def __init__(self, *responses, status=None):
        self._responses, self._status = responses, status
        self.cancelled = threading.Event()

    def __iter__(self):
        yield from self._responses
        if self._status is None and not self.cancelled.wait(10):
            raise AssertionError("nobody has ended this stream")
        if self._status is None:
            self._status = (grpc.StatusCode.CANCELLED, "Locally cancelled by application!")
        raise self

    def code(self):
        return self._status[0]

    def details(self):
        return self._status[1]

    def cancel(self):
        self.cancelled.set()


def watching(call, **more):
    def error(method, status, subject):
        return error_for(method, status.code(), status.details(), subject)

    return Watch(Kind.WIPE_STATUS, lambda: call, error, **more)


def ids(bootstrap):
    assert isinstance(bootstrap, Bootstrap)
    return sorted(resource.id for resource in bootstrap.resources)


def test_what_there_is_may_come_in_one_message_or_in_many():
    one = response(event("CREATED", "a"), event("CREATED", "b"), BOOTSTRAPPED)
    assert ids(next(watching(Call(EMPTY, one)))) == ["a", "b"]
    many = [response(event("CREATED", "a")), response(event("CREATED", "b")), response(BOOTSTRAPPED)]
    assert ids(next(watching(Call(EMPTY, *many)))) == ["a", "b"]


def test_change_that_comes_among_what_there_is_is_part_of_it():
    changes = [event("UPDATED", "a", "2", old=raw("a")), event("DESTROYED", "b")]
    call = Call(EMPTY, response(event("CREATED", "a"), event("CREATED", "b")), response(*changes, BOOTSTRAPPED))
    bootstrap = next(watching(call))
    assert [(r.id, r.version) for r in bootstrap.resources] == [("a", 2)]


def test_placeholders_of_marks_are_no_resources():
    call = Call(EMPTY, response(BOOTSTRAPPED), response(NOOP), response(event("CREATED", "a")))
    watch = watching(call)
    assert ids(next(watch)) == []
    assert next(watch).resource.id == "a"


def test_empty_responses_mean_nothing_before_and_after_the_bootstrap():
    call = Call(EMPTY, EMPTY, response(BOOTSTRAPPED), EMPTY, EMPTY, response(event("CREATED", "a")))
    watch = watching(call)
    assert ids(next(watch)) == []
    assert next(watch).resource.id == "a"


def test_several_events_of_one_message_come_in_their_order():
    changes = response(event("CREATED", "a"), event("UPDATED", "a", "2", old=raw("a")), event("DESTROYED", "a", "2"))
    watch = watching(Call(EMPTY, response(BOOTSTRAPPED), changes))
    next(watch)
    seen = [next(watch) for _ in range(3)]
    assert [(type(e), e.resource.version) for e in seen] == [(Changed, 1), (Changed, 2), (Destroyed, 2)]


@pytest.mark.parametrize("before", [(), (response(BOOTSTRAPPED),)])
def test_error_event_ends_the_call_that_would_stay_open_for_ever(before):
    call = Call(EMPTY, *before, response(state_pb2.Event(event_type=state_pb2.ERRORED, error=COMPACTED)))
    with pytest.raises(WatchEnded, match=COMPACTED):
        list(watching(call))
    assert call.cancelled.is_set()


def test_error_event_without_words_is_one_as_well():
    call = Call(EMPTY, response(BOOTSTRAPPED), response(state_pb2.Event(event_type=state_pb2.ERRORED)))
    with pytest.raises(WatchEnded, match="an error without words"):
        list(watching(call))


def test_silence_instead_of_what_there_is_is_given_up():
    call = Call(EMPTY)
    with pytest.raises(WatchEnded, match=r"within 0\.05 s"):
        next(watching(call, bootstrap_timeout_s=0.05))
    assert call.cancelled.is_set()


def test_error_before_the_watch_is_established_is_the_status_of_the_call():
    call = Call(status=(grpc.StatusCode.PERMISSION_DENIED, "insufficient role"))
    with pytest.raises(RoleInsufficient):
        next(watching(call))


@pytest.mark.parametrize(
    ("code", "words", "raised"),
    [
        (grpc.StatusCode.UNKNOWN, "Stream removed (Data frame with END_STREAM flag received)", WatchEnded),
        (grpc.StatusCode.UNAVAILABLE, "Socket closed", OmniUnavailable),
        (grpc.StatusCode.UNAVAILABLE, "Stream removed (ping timeout)", OmniUnavailable),
    ],
)
def test_end_of_an_established_watch_is_told(code, words, raised):
    watch = watching(Call(EMPTY, response(BOOTSTRAPPED), status=(code, words)))
    next(watch)
    with pytest.raises(raised) as caught:
        next(watch)
    assert type(caught.value) is raised


def test_end_without_an_error_is_an_end_all_the_same():
    class Ended(Call):
        def __iter__(self):
            yield from self._responses

    watch = watching(Ended(EMPTY, response(BOOTSTRAPPED)))
    next(watch)
    with pytest.raises(WatchEnded, match="Omni ended the watch"):
        next(watch)


def test_event_of_a_kind_that_is_not_known_is_passed_over():
    newer = state_pb2.Event(event_type=99, resource=raw("x"))
    watch = watching(Call(EMPTY, response(BOOTSTRAPPED), response(newer, event("CREATED", "a"))))
    next(watch)
    assert next(watch).resource.id == "a"


class Message:
    """A response of which one can tell whether anybody still has it."""

    def __init__(self, *events):
        self.event = list(events)


def test_message_with_all_there_is_is_let_go_before_the_next_is_waited_for():
    kept = []

    class Big(Call):
        def __iter__(self):
            message = Message(event("CREATED", "a"), BOOTSTRAPPED, NOOP)
            kept.append(weakref.ref(message))
            yield message
            del message
            kept.append(kept[0]())
            yield response(event("CREATED", "b"))

    watch = watching(Big())
    assert ids(next(watch)) == ["a"]
    assert next(watch).resource.id == "b"
    assert kept[1] is None
