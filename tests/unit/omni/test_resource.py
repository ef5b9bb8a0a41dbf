from app.machine.model import Phase
from app.omni.kinds import Kind
from app.omni.resource import Draft, Resource, blank
from protos.gen.cosi import state_pb2
from protos.gen.provider import records_pb2

ID = "5d8b1f0e-0000-4000-8000-000000000001"


def _wipe_status(version="3", seconds=100, nanos=0, **metadata):
    raw = blank(Kind.WIPE_STATUS, "bm", ID).raw
    raw.metadata.version = version
    raw.metadata.created.seconds, raw.metadata.created.nanos = seconds, nanos
    raw.metadata.finalizers.extend(metadata.get("finalizers", ()))
    raw.metadata.labels.update(metadata.get("labels", {}))
    raw.spec.proto_spec = records_pb2.WipeStatusSpec(last_wipe_id="w1").SerializeToString()
    raw.spec.yaml_spec = "lastwipeid: w1"
    return Resource(Kind.WIPE_STATUS, raw)


def test_of_two_versions_the_later_is_newer():
    assert _wipe_status(version="9").order < _wipe_status(version="10").order


def test_resource_that_was_destroyed_and_created_again_is_newer_than_any_version_of_the_old():
    assert _wipe_status(version="99").order < _wipe_status(version="1", nanos=1).order


def test_version_undefined_and_creation_before_1970_read_as_zero():
    resource = _wipe_status(version="undefined", seconds=-62135596800)
    assert resource.order == (0, 0)


def test_loaded_from_its_dump_it_is_the_same():
    resource = _wipe_status(finalizers=["bm.X"], labels={"a": "b"})
    assert Resource.load(Kind.WIPE_STATUS, resource.dump()) == resource


def test_repr_shows_nothing_of_the_spec():
    assert repr(_wipe_status()) == f"Resource(wipe_status {ID} version=3 phase=running)"


def test_spec_is_a_copy():
    resource = _wipe_status()
    resource.spec.last_wipe_id = "other"
    resource.labels["x"] = "y"
    assert (resource.spec.last_wipe_id, resource.labels) == ("w1", {})


def test_blank_resource_has_what_omni_asks_of_a_new_one():
    raw = blank(Kind.MACHINE_STATUS, "bm", ID).raw
    assert (raw.metadata.version, raw.metadata.phase, raw.metadata.owner) == ("undefined", "running", "")
    assert raw.metadata.created.seconds > 0
    assert raw.metadata.updated == raw.metadata.created
    assert raw.HasField("spec")


def test_phase_tearing_down_is_read():
    resource = _wipe_status()
    resource.raw.metadata.phase = "tearingDown"
    assert resource.phase is Phase.TEARING_DOWN


def test_draft_without_an_edit_has_not_changed():
    draft = Draft(_wipe_status(finalizers=["bm.X"], labels={"a": "b"}))
    draft.spec.last_wipe_id = "w1"
    assert not draft.changed()


def test_draft_keeps_what_nobody_touched_and_drops_the_untrue_yaml():
    base = _wipe_status(finalizers=["bm.X"], labels={"a": "b"})
    draft = Draft(base)
    draft.spec.last_wipe_id = "w2"
    assert draft.changed()
    raw = draft.build()
    assert records_pb2.WipeStatusSpec.FromString(raw.spec.proto_spec).last_wipe_id == "w2"
    assert raw.spec.yaml_spec == ""
    assert raw.metadata == base.raw.metadata
    assert base.spec.last_wipe_id == "w1"


def test_draft_with_other_finalizers_leaves_the_spec_to_the_byte():
    base = _wipe_status(finalizers=["bm.X", "other"])
    draft = Draft(base)
    draft.finalizers.remove("bm.X")
    draft.labels["new"] = ""
    raw = draft.build()
    assert raw.spec == base.raw.spec
    assert list(raw.metadata.finalizers) == ["other"]
    assert dict(raw.metadata.labels) == {"new": ""}


def test_fields_that_we_do_not_know_survive_an_edit():
    newer = state_pb2.Resource()
    newer.CopyFrom(_wipe_status().raw)
    unknown = b"\xfa\x06\x03new"  # field 111
    newer.spec.proto_spec += unknown
    draft = Draft(Resource(Kind.WIPE_STATUS, newer))
    assert not draft.changed()
    draft.spec.initial_wipe_done = True
    assert unknown in draft.build().spec.proto_spec
