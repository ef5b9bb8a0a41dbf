import grpc
import pytest

from app.omni.kinds import EPHEMERAL, SHARED, Kind
from app.omni.resource import blank
from lab.omni.access import PROVIDER_LABEL, Access, Forbidden
from lab.omni.store import Place, Refused

CODE = grpc.StatusCode
FINALIZERS_ONLY = [Kind.INFRA_MACHINE, Kind.BMC_CONFIG, Kind.PROVIDER_JOIN_CONFIG]
READ_ONLY = [Kind.CONNECTION_PARAMS, Kind.RESOURCE_DEFINITION]


def _place(kind, provider_id="bm"):
    return Place(kind.namespace(provider_id), kind.type(provider_id))


def _raw(kind, resource_id="bm"):
    return blank(kind, "bm", resource_id).raw


@pytest.fixture
def access():
    return Access("bm")


def _refused(code, act, *args):
    with pytest.raises(Refused) as caught:
        act(*args)
    assert caught.value.code is code
    return caught.value.words


@pytest.mark.parametrize("kind", Kind, ids=lambda k: k.value)
def test_every_kind_that_we_use_may_be_read(access, kind):
    access.check_read(_place(kind))


@pytest.mark.parametrize("kind", [k for k in Kind if k not in FINALIZERS_ONLY + READ_ONLY], ids=lambda k: k.value)
def test_what_is_the_providers_may_be_written(access, kind):
    access.check_create(_raw(kind), _place(kind))
    access.check_update(_raw(kind), _raw(kind), _place(kind))
    access.check_destroy(_place(kind))


@pytest.mark.parametrize("kind", READ_ONLY, ids=lambda k: k.value)
def test_what_is_outside_the_providers_namespaces_may_only_be_read(access, kind):
    for act in (access.check_create, lambda new, place: access.check_update(new, _raw(kind), place)):
        assert "only read access" in _refused(CODE.PERMISSION_DENIED, act, _raw(kind), _place(kind))
    _refused(CODE.PERMISSION_DENIED, access.check_destroy, _place(kind))


def _label(raw):
    raw.metadata.labels["rack"] = "r1"


def _annotate(raw):
    raw.metadata.annotations["rack"] = "r1"


def _specify(raw):
    raw.spec.proto_spec = b"\x08\x01"


@pytest.mark.parametrize("kind", FINALIZERS_ONLY, ids=lambda k: k.value)
def test_of_what_is_omnis_only_the_finalizers_may_change(access, kind):
    old, new = _raw(kind), _raw(kind)
    new.metadata.finalizers.append("bm.X")
    new.metadata.version = "17"
    access.check_update(new, old, _place(kind))
    for change in (_label, _annotate, _specify):
        changed = blank(kind, "bm", "bm").raw
        change(changed)
        assert "only read access" in _refused(CODE.PERMISSION_DENIED, access.check_update, changed, old, _place(kind))
    _refused(CODE.PERMISSION_DENIED, access.check_create, new, _place(kind))
    _refused(CODE.PERMISSION_DENIED, access.check_destroy, _place(kind))


def test_old_copy_of_what_is_omnis_is_refused_in_the_same_words_but_is_no_breach_of_the_role(access):
    place, old, new = _place(Kind.INFRA_MACHINE), _raw(Kind.INFRA_MACHINE), _raw(Kind.INFRA_MACHINE)
    _specify(old)
    old.metadata.version = "2"
    caught = []
    for version in ("1", "2"):
        new.metadata.version = version
        with pytest.raises(Refused) as refused:
            access.check_update(new, old, place)
        caught.append(refused.value)
    race, breach = caught
    assert (race.code, race.words) == (breach.code, breach.words)
    assert (isinstance(race, Forbidden), isinstance(breach, Forbidden)) == (False, True)


@pytest.mark.parametrize("kind", [Kind.PROVIDER_STATUS, Kind.PROVIDER_HEALTH_STATUS], ids=lambda k: k.value)
def test_status_of_another_provider_cannot_be_made(access, kind):
    _refused(CODE.INVALID_ARGUMENT, access.check_create, _raw(kind, "other"), _place(kind))


@pytest.mark.parametrize("type_", ["Links", "MachineStatuses", "InfraMachineConfigs", "Clusters"])
def test_what_is_not_for_providers_is_refused(access, type_):
    words = _refused(CODE.PERMISSION_DENIED, access.check_read, Place("default", f"{type_}.omni.sidero.dev"))
    assert "insufficient role" in words


@pytest.mark.parametrize("namespace", [SHARED, EPHEMERAL])
def test_type_that_is_elsewhere_is_not_for_providers_in_the_shared_namespaces(access, namespace):
    words = _refused(CODE.PERMISSION_DENIED, access.check_read, Place(namespace, "Links.omni.sidero.dev"))
    assert "insufficient role" in words


def test_namespace_of_another_provider_is_refused_and_the_allowed_ones_are_named(access):
    words = _refused(CODE.PERMISSION_DENIED, access.check_read, _place(Kind.WIPE_STATUS, "other"))
    assert all(repr(name) in words for name in (SHARED, EPHEMERAL, "infra-provider:bm"))


def test_type_without_the_providers_suffix_in_its_namespace_is_refused(access):
    place = Place("infra-provider:bm", "WipeStatus.other.infraprovider.sidero.dev")
    _refused(CODE.INVALID_ARGUMENT, access.check_read, place)


def test_readable_types_of_omni_cannot_be_written(access):
    place = Place("default", "Machines.omni.sidero.dev")
    access.check_read(place)
    assert "only read access" in _refused(CODE.PERMISSION_DENIED, access.check_destroy, place)


@pytest.mark.parametrize(
    ("namespace", "type_"),
    [
        ("default", "FeaturesConfigs.omni.sidero.dev"),
        ("default", "TalosVersions.omni.sidero.dev"),
        ("default", "KubernetesVersions.omni.sidero.dev"),
        ("default", "SiderolinkAPIConfigs.omni.sidero.dev"),
        ("meta", "Namespaces.meta.cosi.dev"),
        ("ephemeral", "SysVersions.system.sidero.dev"),
        ("virtual", "CurrentUsers.omni.sidero.dev"),
    ],
)
def test_what_omni_says_of_itself_may_be_read_and_not_changed(access, namespace, type_):
    place = Place(namespace, type_)
    access.check_read(place)
    _refused(CODE.PERMISSION_DENIED, access.check_destroy, place)


def test_what_omni_makes_up_for_whoever_asks_cannot_be_watched(access):
    _refused(CODE.UNIMPLEMENTED, access.check_watch, Place("virtual", "CurrentUsers.omni.sidero.dev"))
    access.check_watch(_place(Kind.INFRA_MACHINE))


def test_label_of_the_provider_is_set_in_the_shared_namespaces_only(access):
    assert access.labelled(_raw(Kind.INFRA_MACHINE_STATUS)).metadata.labels[PROVIDER_LABEL] == "bm"
    assert not access.labelled(_raw(Kind.WIPE_STATUS)).metadata.labels


def test_what_bears_anothers_label_is_not_seen(access):
    theirs = _raw(Kind.INFRA_MACHINE)
    theirs.metadata.labels[PROVIDER_LABEL] = "other"
    assert not access.sees(theirs)
    assert not access.sees(_raw(Kind.INFRA_MACHINE))
    assert access.sees(access.labelled(theirs))
    assert access.sees(_raw(Kind.WIPE_STATUS))
