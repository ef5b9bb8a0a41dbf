"""The service account key: what is read from it, and what is said of one that cannot be used."""

import base64
import json
import time
from datetime import UTC, datetime

import pysequoia
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.omni.account import KeyInvalid, load_account, read_account
from app.omni.armor import unarmor
from app.omni.packets import PUBLIC_KEY, SECRET_KEY, USER_ID, packet, packets
from lab.omni.keys import Encoding, armor, make_key

MADE_S = 1_700_000_000
SOON_S = MADE_S + 60


def _variable(content):
    text = content if isinstance(content, str) else json.dumps(content)
    return base64.b64encode(text.encode()).decode()


def _with_key(armored):
    return _variable({"name": "infra-provider:bm", "pgp_key": armored})


def _changed(key, change):
    """The variable with the same packets, changed by `change`, in armor that fits them."""
    _, data = unarmor(key.armored)
    return _with_key(armor(b"".join(packet(p.tag, p.body) for p in change(list(packets(data))))))


def _refused(variable, now_s=SOON_S):
    with pytest.raises(KeyInvalid) as caught:
        load_account(variable, now_s)
    assert str(caught.value) == f"OMNI_SERVICE_ACCOUNT_KEY: {caught.value.reason}"
    return caught.value.reason


@pytest.fixture(scope="module")
def key():
    return make_key("bare-metal", created_s=MADE_S, life_s=1000)


# What is read


@pytest.mark.parametrize("encoding", Encoding)
def test_account_has_name_fingerprint_and_end_of_its_key(encoding):
    key = make_key("bare-metal", created_s=MADE_S, life_s=1000, encoding=encoding)
    account = load_account(key.variable, SOON_S)
    assert account.identity == "bare-metal@infra-provider.serviceaccount.omni.sidero.dev"
    assert account.provider_id == "bare-metal"
    assert account.fingerprint == key.fingerprint
    assert account.created_at == datetime.fromtimestamp(MADE_S, UTC)
    assert account.expires_at == datetime.fromtimestamp(MADE_S + 1000, UTC)
    assert account.key.user_id == "bare-metal <bare-metal@infra-provider.serviceaccount.omni.sidero.dev>"


def test_account_that_is_no_providers_has_the_other_domain(key):
    account = load_account(_variable({"name": "ci", "pgp_key": key.armored}), SOON_S)
    assert (account.identity, account.provider_id) == ("ci@serviceaccount.omni.sidero.dev", "")


@pytest.mark.parametrize("encoding", Encoding)
@pytest.mark.parametrize("zeroes", [1, 2])
def test_secret_that_begins_with_zeroes_is_read_whole(encoding, zeroes):
    private = Ed25519PrivateKey.from_private_bytes(bytes(zeroes) + b"\x01" * (32 - zeroes))
    account = load_account(make_key("bm", encoding=encoding, private=private).variable)
    assert account.key.private.private_bytes_raw() == private.private_bytes_raw()


def test_packets_of_the_old_format_are_read(key):
    def old(found):
        size = len(found.body)
        octets, kind = (1, 0) if size < 256 else (2, 1)
        return bytes([0x80 | found.tag << 2 | kind]) + size.to_bytes(octets, "big") + found.body

    _, data = unarmor(key.armored)
    found = list(packets(data))
    *rest, last = found
    endless = bytes([0x80 | last.tag << 2 | 3]) + last.body
    variable = _with_key(armor(b"".join(map(old, rest)) + endless))
    assert load_account(variable, SOON_S).fingerprint == key.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n\n", "\nVersion: 1\nComment: of a test\n\n", 1),
        lambda text: text.replace("\n\n", "\n", 1),
        lambda text: "\n".join(line for line in text.splitlines() if not line.startswith("=")),
        lambda text: f"\n  \n{text}\n\n",
    ],
    ids=["other line ends", "with headers", "without empty line", "without checksum", "with space around"],
)
def test_armor_of_other_programs_is_read(key, change):
    assert load_account(_with_key(change(key.armored)), SOON_S).fingerprint == key.fingerprint


def test_value_that_was_folded_into_lines_is_read(key):
    folded = "\n".join(key.variable[i : i + 76] for i in range(0, len(key.variable), 76)) + "\n"
    assert load_account(folded, SOON_S).fingerprint == key.fingerprint


@pytest.mark.parametrize(
    ("profile", "version", "algorithm"), [(pysequoia.Profile.RFC4880, 4, 22), (pysequoia.Profile.RFC9580, 6, 27)]
)
def test_key_that_another_program_made_is_read(profile, version, algorithm):
    theirs = pysequoia.Tsk.generate("bm <bm@example.org>", profile=profile, validity_seconds=3600)
    account = load_account(_with_key(str(theirs)))
    public = theirs.extract_certificate()
    assert (account.key.version, account.key.algorithm) == (version, algorithm)
    assert account.fingerprint == public.fingerprint
    assert account.expires_at == public.expiration
    assert account.key.user_id == "bm <bm@example.org>"


def test_key_of_another_program_without_an_end_has_none():
    theirs = pysequoia.Tsk.generate("bm <bm@example.org>", profile=pysequoia.Profile.RFC9580)
    assert load_account(_with_key(str(theirs))).expires_at is None


def test_newest_signature_of_the_holder_says_when_the_key_ends():
    private = Ed25519PrivateKey.generate()
    short, long = (make_key("bm", created_s=MADE_S, life_s=life_s, private=private) for life_s in (1000, 5000))

    def also(signature):
        # Signed a second later; what it says of the life is read without the signature being checked.
        later = signature.body.replace(MADE_S.to_bytes(4, "big"), (MADE_S + 1).to_bytes(4, "big"))
        return lambda found: [*found[:2], type(signature)(signature.tag, later), *found[2:]]

    _, data = unarmor(long.armored)
    account = load_account(_changed(short, also(list(packets(data))[2])), SOON_S)
    assert account.expires_at == datetime.fromtimestamp(MADE_S + 5000, UTC)


def test_signature_of_somebody_else_does_not_say_when_the_key_ends(key):
    stranger = make_key("bm", created_s=MADE_S + 5, life_s=5000)
    _, data = unarmor(stranger.armored)
    theirs = list(packets(data))[2]
    account = load_account(_changed(key, lambda found: [*found[:3], theirs, *found[3:]]), SOON_S)
    assert account.expires_at == datetime.fromtimestamp(MADE_S + 1000, UTC)


# What is refused


def _encrypted(found):
    # Right behind the public half, which ends 36 bytes before the end of a packet with a secret of 32 bytes.
    body = found[0].body
    at = 6 + 10 + 2 + 33
    assert body[at] == 0
    found[0] = type(found[0])(found[0].tag, body[:at] + b"\xfe" + body[at + 1 :])
    return found


def _of_algorithm(number):
    def change(found):
        body = found[0].body
        found[0] = type(found[0])(found[0].tag, body[:5] + bytes([number]) + body[6:])
        return found

    return change


def _byte_turned(at):
    def change(found):
        body = bytearray(found[0].body)
        body[at] ^= 1
        found[0] = type(found[0])(found[0].tag, bytes(body))
        return found

    return change


def test_each_fault_of_the_text_is_said_by_itself(key):
    assert _refused("what is this?").startswith("is not base64; copy it anew")
    assert _refused("schlüssel").startswith("is not base64; copy it anew")
    assert _refused(key.variable[:-3]).startswith("is not base64; copy it anew")
    assert _refused(_variable("{name: x}")).startswith("is base64, but not of JSON; copy it anew")
    assert _refused(base64.b64encode(b"\xff\xfe").decode()).startswith("is base64, but not of JSON")
    assert _refused(_variable([1])).startswith("is base64 of JSON, but not of an object with `name` and `pgp_key`")
    assert _refused(_variable({"pgp_key": key.armored})).startswith("has no `name`")
    assert _refused(_variable({"name": " ", "pgp_key": key.armored})).startswith("has no `name`")
    assert _refused(_variable({"name": "infra-provider:bm"})).startswith("has no `pgp_key`")
    assert _refused(_variable({"name": "infra-provider:bm", "pgp_key": 7})).startswith("has no `pgp_key`")


def test_each_fault_of_the_armor_is_said_by_itself(key):
    lines = key.armored.splitlines()
    whole = "\n".join
    assert "its first line is not `-----BEGIN PGP PRIVATE" in _refused(_with_key("a key"))
    assert "its last line is not `-----END PGP PRIVATE KEY BLOCK-----`" in _refused(_with_key(whole(lines[:-1])))
    assert "its checksum does not fit" in _refused(_with_key(whole([*lines[:2], *lines[3:]])))
    assert "something in it that is not base64" in _refused(
        _with_key(whole([*lines[:2], "?" + lines[2][1:], *lines[3:]]))
    )


def test_each_fault_of_the_key_is_said_by_itself(key):
    _, data = unarmor(key.armored)
    public = [p for p in packets(data) if p.tag != SECRET_KEY]
    assert "holds a public key, and no private key" in _refused(_with_key(armor(data, "PGP PUBLIC KEY BLOCK")))
    assert "holds a PGP MESSAGE, and no private key" in _refused(_with_key(armor(data, "PGP MESSAGE")))
    assert "holds no private key" in _refused(_changed(key, lambda found: [type(found[0])(PUBLIC_KEY, b"x"), *found]))
    assert "holds no private key" in _refused(_changed(key, lambda _: public))
    assert "holds no private key" in _refused(_with_key(armor(b"")))
    assert "is encrypted with a passphrase" in _refused(_changed(key, _encrypted))
    assert "is damaged: the checksum of its private half does not fit" in _refused(_changed(key, _byte_turned(60)))
    assert "its private and its public half do not fit together" in _refused(_changed(key, _byte_turned(30)))
    assert "its public half is no point of Ed25519" in _refused(_changed(key, _byte_turned(18)))
    assert "is of version 5; versions 4 and 6" in _refused(_changed(key, _byte_turned(0)))
    assert "is damaged: a packet is shorter than it says" in _refused(_with_key(armor(data[:50])))
    assert "is damaged: what should be a packet is none" in _refused(_with_key(armor(b"\0" + data)))
    assert "is damaged: a packet comes in parts" in _refused(_with_key(armor(b"\xc5\xe1" + data[2:])))


@pytest.mark.parametrize(
    ("number", "name"), [(1, "RSA"), (17, "DSA"), (19, "ECDSA"), (28, "Ed448"), (25, "X25519"), (99, "unknown")]
)
def test_key_of_another_algorithm_is_refused_by_its_name(key, number, name):
    said = _refused(_changed(key, _of_algorithm(number)))
    assert f"is of the wrong algorithm ({name}, number {number}); Omni's keys are Ed25519" in said
    assert "omnictl infraprovider renewkey" in said


def test_eddsa_of_another_curve_is_refused(key):
    assert "wrong algorithm (EdDSA of another curve, number 22)" in _refused(_changed(key, _byte_turned(8)))


def test_expired_key_is_refused_at_the_start_with_its_time_but_read_afterwards(key):
    end_s = MADE_S + 1000
    load_account(key.variable, end_s - 1)
    assert _refused(key.variable, end_s).startswith("the key in it expired at 2023-11-14 22:30 UTC; make another")
    assert read_account(key.variable).fingerprint == key.fingerprint


def test_no_message_holds_a_part_of_the_key(key):
    broken = [
        key.variable[:-3],
        key.variable + "?",
        key.armored,
        _variable(key.armored),
        _variable({"pgp_key": key.armored}),
        _with_key(key.armored[:-10]),
        _with_key(key.armored.replace("A", "B")),
        _changed(key, _encrypted),
        _changed(key, _of_algorithm(1)),
        _changed(key, _byte_turned(60)),
    ]
    data = [key.variable, *(line for line in key.armored.splitlines() if not line.startswith("-----"))]
    parts = {text[i : i + 12] for text in data for i in range(len(text) - 11)}
    for variable in broken:
        said = _refused(variable)
        assert not [part for part in parts if part in said]


def test_account_shows_no_part_of_its_key(key):
    account = load_account(key.variable, SOON_S)
    secret = account.key.private.private_bytes_raw()
    shown = f"{account!r} {account} {account.key!r}"
    assert repr(secret)[2:-1] not in shown
    assert secret.hex() not in shown
    assert "Ed25519PrivateKey" not in shown


def test_user_id_that_is_not_text_is_read_as_far_as_it_goes(key):
    def change(found):
        return [type(p)(p.tag, b"\xffbm" if p.tag == USER_ID else p.body) for p in found]

    assert load_account(_changed(key, change), SOON_S).key.user_id == "�bm"


def test_call_of_a_clock_that_is_behind_a_new_key_is_signed_at_the_time_of_the_key():
    key = make_key("bm", created_s=int(time.time()) + 30)
    headers = dict(read_account(key.variable).sign("/cosi.resource.State/Get"))
    assert headers["x-sidero-timestamp"] == str(key.created_s)
