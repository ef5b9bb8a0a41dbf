"""Which news of Omni is only the echo of what was written here."""

from app.omni.kinds import Kind
from app.omni.resource import Resource, blank
from app.watcher.echoes import Echoes


def copy(version, kind=Kind.MACHINE_STATUS, machine_id="m1"):
    raw = blank(kind, "bare-metal", machine_id).raw
    raw.metadata.version = str(version)
    raw.metadata.created.seconds, raw.metadata.created.nanos = 1, 0
    return Resource(kind, raw)


def test_copy_that_was_written_is_an_echo_once():
    echoes = Echoes()
    echoes.expect(copy(2))
    assert echoes.is_one(copy(2))
    assert not echoes.is_one(copy(2))


def test_copy_that_another_wrote_is_news():
    echoes = Echoes()
    echoes.expect(copy(2))
    assert not echoes.is_one(copy(3))
    assert not echoes.is_one(copy(2, machine_id="m2"))
    assert not echoes.is_one(copy(2, kind=Kind.WIPE_STATUS))
    assert echoes.is_one(copy(2))


def test_copy_that_was_written_before_the_mirror_was_made_as_a_list_says_is_news():
    echoes = Echoes()
    echoes.expect(copy(2))
    echoes.expect(copy(2, kind=Kind.WIPE_STATUS))
    echoes.forget(Kind.MACHINE_STATUS)
    assert not echoes.is_one(copy(2))
    assert echoes.is_one(copy(2, kind=Kind.WIPE_STATUS))
