"""The doctor before the first start: each thing that the provider needs, right and broken."""

import os
import socket
import time

import grpc
import pytest
import redis

from app.doctor.reach import EMPTY_SETTINGS
from app.omni.kinds import Kind
from app.omni.resource import Draft, blank
from app.omni.trust import GRPC_ROOTS
from lab.factory import ImageFactory
from lab.omni.access import PROVIDER_LABEL
from lab.omni.certificates import make_authority, make_certificate
from lab.omni.keys import make_key
from lab.omni.signatures import Signatures
from lab.omni.store import Refused
from lab.omni.thread import OmniThread
from lab.rack import RackOptions
from lab.rack_thread import RackThread
from tests.integration.doctor_place import AWAY_S, answering_port, command, deaf_port, doctor, free_port, redis_server

pytestmark = pytest.mark.integration

KEEPS = ("--appendonly", "yes", "--maxmemory-policy", "noeviction")
UNTRUSTED = "--insecure-skip-tls-verify"
NOWHERE = "http://127.0.0.1:9"


class Place:
    """What a provider needs, all of it right; `doctor(...)` takes options that make some of it wrong."""

    def __init__(self, folder, omni, key, factory_url):
        self.folder, self.omni, self.key = folder, omni, key
        self.ports = {
            "--api-port": free_port(),
            "--gateway-listen": f"127.0.0.1:{free_port()}",
            "--flower-listen": f"127.0.0.1:{free_port()}",
        }
        self.options = {
            "--id": "bare-metal",
            "--omni-api-endpoint": omni.endpoint,
            UNTRUSTED: "true",
            "--image-factory-base-url": factory_url,
            "--image-factory-pxe-base-url": factory_url,
            "--api-advertise-address": "127.0.0.1",
            "--state-dir": folder / "state",
            "--disable-dhcp-proxy": "true",  # its ports are the host's: test_doctor_netboot.py
            **self.ports,
        }

    def doctor(self, environ=None, **changes):
        return doctor(*self.given(**changes), environ=self.environ() if environ is None else environ)

    def given(self, **changes):
        options = self.options | {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
        return [f"{name}={value}" for name, value in options.items()]

    def restart_omni(self):
        self.omni.stop()
        self.omni.start()

    def environ(self):
        return {"OMNI_SERVICE_ACCOUNT_KEY": self.key.variable}


@pytest.fixture(scope="module")
def factory():
    with RackThread(RackOptions(machines=0)) as thread:
        assert isinstance(thread.rack.factory, ImageFactory)
        yield thread


@pytest.fixture
def key():
    return make_key("bare-metal", created_s=int(time.time()) - 3600)


@pytest.fixture
def signatures(key):
    return Signatures(key)


@pytest.fixture
def place(tmp_path, key, signatures, factory):
    certificate = make_certificate("127.0.0.1", "omni.lab")
    with OmniThread("bare-metal", signatures=signatures, certificate=certificate) as omni:
        yield Place(tmp_path, omni, key, factory.rack.factory.url)


def test_before_the_first_start_nothing_fails_and_nothing_is_made(place):
    told = place.doctor()
    assert told.status == 0
    assert {name: told[name] for name in told.checks} == {
        "options": "ok",
        "omni": "ok",
        "clock": "ok",
        "key": "ok",
        "signature": "ok",
        "registration": "ok",
        "image-factory": "ok",
        "redis": "skipped",
        "queues": "skipped",
        "processes": "skipped",
        "ports": "ok",
        "netboot": "skipped",
        "ipxe": "skipped",
        "address": "warning",  # the lab's is the loopback
    }
    assert "it has never been started" in told.words("registration")
    assert "does not run in the state directory" in told.words("redis")
    assert "this host alone" in told.words("address")
    assert not (place.folder / "state").exists()
    calls = place.omni.do(lambda o: dict(o.calls))
    assert calls
    assert all(call.startswith("Get ") for call in calls), calls


def test_lines_are_for_people(place):
    done = command(
        "doctor", *place.given(omni_api_endpoint=f"https://127.0.0.1:{free_port()}"), environ=place.environ()
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert lines[0] == "ok       options         nothing is wrong with them"
    assert lines[1].startswith("failed   omni            127.0.0.1:")
    assert lines[2].startswith("         → check --omni-api-endpoint")
    assert lines[3] == "skipped  clock           because omni failed"
    assert lines[-1] == "1 failed, 1 with a warning, 8 skipped, of 14 checks."


def test_wrong_options_are_all_named_and_what_they_do_not_concern_is_looked_at(place):
    told = place.doctor(redis_url="http://nope", min_reboot_interval="soon", nope="1")
    assert told.failed() == ["options"]
    for option in ("--redis-url", "--min-reboot-interval=soon", "--nope"):
        assert option in told.words("options")
    assert told.words("redis") == "because --redis-url is wrong"
    assert told["registration"] == told["image-factory"] == told["ports"] == "ok"


def test_file_of_options_that_cannot_be_read_leaves_nothing_to_look_at(place):
    told = place.doctor(config=place.folder / "missing.yaml")
    assert told.failed() == ["options"]
    assert {told[name] for name in told.checks if name != "options"} == {"skipped"}
    assert told.words("omni") == told.words("redis") == told.words("address") == "because --config is wrong"


def test_wrong_port_of_omni_is_said(place):
    told = place.doctor(omni_api_endpoint=f"https://127.0.0.1:{free_port()}")
    assert told.failed() == ["omni"]
    assert "connection refused" in told.words("omni")
    assert "--omni-api-endpoint" in told.remedies("omni")
    assert told.words("clock") == told.words("signature") == "because omni failed"
    assert told["key"] == "ok"


def test_name_of_omni_that_is_not_known_is_said(place):
    told = place.doctor(omni_api_endpoint="https://omni.invalid")
    assert told.failed() == ["omni"]
    assert "the name omni.invalid is not known" in told.words("omni")


def test_untrusted_certificate_is_said_with_the_option_that_trusts_it(place):
    told = place.doctor(insecure_skip_tls_verify="false")
    assert told.failed() == ["omni"]
    assert "is not trusted: self-signed certificate" in told.words("omni")
    assert UNTRUSTED in told.remedies("omni")
    assert "SSL_CERT_FILE" in told.remedies("omni")


def test_certificate_of_an_authority_that_the_system_trusts_is_trusted(place):
    authority, trusted = make_authority("a company"), place.folder / "authorities.pem"
    trusted.write_bytes(authority.pem)
    certificate = make_certificate("127.0.0.1", authority=authority)
    place.omni.do(lambda o: setattr(o, "certificate", certificate))
    place.restart_omni()
    told = place.doctor(insecure_skip_tls_verify="false", environ={**place.environ(), GRPC_ROOTS: str(trusted)})
    assert (told["omni"], told["registration"]) == ("ok", "ok")
    assert "its certificate is trusted" in told.words("omni")


def test_tls_where_there_is_none_is_said(place):
    with answering_port(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        told = place.doctor(omni_api_endpoint=f"https://127.0.0.1:{port}")
    assert told.failed() == ["omni"]
    assert "does not speak TLS" in told.words("omni")
    assert "http://" in told.remedies("omni")


def test_no_tls_where_there_is_some_is_said(place):
    told = place.doctor(omni_api_endpoint=place.omni.endpoint.replace("https://", "http://"))
    assert "omni" in told.failed()
    assert "https://" in told.remedies("omni")


@pytest.mark.parametrize(("ahead_s", "words"), [(400, "400 s behind"), (-400, "400 s ahead of")])
def test_clock_that_is_off_is_said(place, signatures, ahead_s, words):
    signatures.clock = lambda: time.time() + ahead_s
    place.restart_omni()
    told = place.doctor()
    assert told.failed() == ["clock", "signature"]
    assert "NTP" in told.remedies("clock")
    assert words in told.words("clock") or str(int(words[:3]) - 1) in told.words("clock")


def test_key_that_cannot_be_read_is_said_without_it(place):
    told = place.doctor(environ={"OMNI_SERVICE_ACCOUNT_KEY": "canary-of-a-key"})
    assert told.failed() == ["key"]
    assert "is not base64" in told.words("key")
    assert "copy it anew" in told.remedies("key")
    assert "canary" not in told.text


def test_key_that_omni_does_not_know_is_said(place):
    told = place.doctor(environ={"OMNI_SERVICE_ACCOUNT_KEY": make_key("bare-metal").variable})
    assert told.failed() == ["signature"]
    assert "renewkey" in told.remedies("signature")
    assert told["key"] == "ok"
    assert told.words("registration") == "because signature failed"


def test_provider_that_is_not_registered_is_said(place):
    words = 'infra provider with name "bare-metal" is not registered in the system'
    place.omni.do(lambda o: refuse_reads(o, words))
    told = place.doctor()
    assert told.failed() == ["registration"]
    assert "not registered" in told.words("registration")
    assert "omnictl infraprovider create" in told.remedies("registration")


def test_key_without_the_rights_of_a_provider_is_said(place):
    place.omni.do(lambda o: refuse_reads(o, "insufficient role: Reader"))
    told = place.doctor()
    assert told.failed() == ["registration"]
    assert "role InfraProvider" in told.remedies("registration")


def refuse_reads(omni, words):
    def check_read(_place):
        raise Refused(grpc.StatusCode.PERMISSION_DENIED, words)

    omni._service._access.check_read = check_read


def test_another_provider_under_the_same_id_is_said(place):
    place.omni.do(beat_as_the_go_provider)
    told = place.doctor()
    assert told.failed() == ["registration"]
    assert "another provider runs under this id" in told.words("registration")
    assert "--force-takeover" in told.remedies("registration")
    assert place.doctor(force_takeover="true")["registration"] == "warning"


def beat_as_the_go_provider(omni):
    draft = Draft(blank(Kind.PROVIDER_HEALTH_STATUS, "bare-metal", "bare-metal"))
    draft.spec.last_heartbeat_timestamp.GetCurrentTime()
    draft.labels[PROVIDER_LABEL] = "bare-metal"
    omni._create(draft)


def test_image_factory_that_is_out_of_order_is_said(place, factory):
    factory.call(lambda: setattr(factory.rack.factory, "out_of_order", True))
    try:
        told = place.doctor()
    finally:
        factory.call(lambda: setattr(factory.rack.factory, "out_of_order", False))
    assert told.failed() == ["image-factory"]
    assert "answered 503" in told.words("image-factory")
    assert "--image-factory-base-url" in told.remedies("image-factory")


def test_pxe_base_url_that_leads_elsewhere_is_said_alone(place):
    told = place.doctor(image_factory_pxe_base_url=NOWHERE)
    assert told.failed() == ["image-factory"]
    assert f"{NOWHERE} did not answer" in told.words("image-factory")
    assert "--image-factory-pxe-base-url" in told.remedies("image-factory")
    assert "takes schematics" in told.words("image-factory")


def test_redis_that_keeps_everything_is_good_and_left_as_it_was(place):
    with redis_server(place.folder, *KEEPS) as url:
        told = place.doctor(redis_url=url)
        with redis.Redis.from_url(url) as client:
            assert client.dbsize() == 0
    assert told.status == 0
    assert told["redis"] == "ok"
    assert told["queues"] == "skipped"
    assert told["processes"] == "warning"
    assert "no process of the provider runs with this Redis yet" in told.words("processes")


@pytest.mark.parametrize(
    ("options", "words", "remedy"),
    [
        (("--maxmemory-policy", "noeviction"), "no persistence", "appendonly yes"),
        (
            ("--appendonly", "yes", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"),
            "eviction policy allkeys-lru",
            "`maxmemory-policy noeviction`",
        ),
        ((*KEEPS, "--maxmemory", "600kb"), "of its memory limit is used", "raise `maxmemory`"),
        ((*KEEPS, "--requirepass", "another"), "refuses the login", "--redis-url"),
        ((*KEEPS, "--replicaof", "127.0.0.1 1"), "it is a replica", "name the primary"),
    ],
)
def test_redis_that_loses_or_refuses_is_said(place, options, words, remedy):
    with redis_server(place.folder, *options) as url:
        told = place.doctor(redis_url=url.replace("redis://", "redis://:canary@"))
    assert told.failed() == ["redis"]
    assert words in told.words("redis")
    assert remedy in told.remedies("redis")
    assert "canary" not in told.text
    # What is said of the others helps as long as Redis answers.
    assert (told.words("queues") == "because redis failed") is (words in ("refuses the login", "it is a replica"))


def test_redis_that_is_away_is_said(place):
    told = place.doctor(redis_url=f"redis://:canary@127.0.0.1:{free_port()}/0")
    assert told.failed() == ["redis"]
    assert "does not answer" in told.words("redis")
    assert "--redis-url" in told.remedies("redis")
    assert "canary" not in told.text


@pytest.mark.parametrize("option", ["--api-port", "--gateway-listen", "--flower-listen"])
def test_port_that_a_stranger_holds_is_said_with_its_holder(place, option):
    _, _, number = str(place.ports[option]).rpartition(":")
    with socket.create_server(("127.0.0.1", int(number))):
        told = place.doctor()
    assert "ports" in told.failed()
    assert f"{number} (" in told.words("ports")
    assert f"(process {os.getpid()})" in told.words("ports")
    assert option in told.remedies("ports")


def test_advertise_address_that_is_not_ours_is_said(place):
    told = place.doctor(api_advertise_address="127.0.0.1.invalid")
    assert told.failed() == ["address"]
    assert "is not known" in told.words("address")
    told = place.doctor(api_advertise_address="198.51.100.7")
    assert told.failed() == ["address"]
    assert "198.51.100.7 is no address of this host" in told.words("address")
    assert "--api-advertise-address" in told.remedies("address")


def test_listening_elsewhere_than_machines_are_told_is_said(place):
    told = place.doctor(api_listen_address="127.0.0.2")
    assert told.failed() == ["address"]
    assert "--api-listen-address" in told.words("address")


def test_everything_deaf_the_doctor_ends_all_the_same(place):
    with deaf_port() as port:
        told = place.doctor(
            omni_api_endpoint=f"https://127.0.0.1:{port}",
            image_factory_base_url=f"http://127.0.0.1:{port}",
            image_factory_pxe_base_url=f"http://127.0.0.1:{port}",
            redis_url=f"redis://127.0.0.1:{port}/0",
            api_port=port,
        )
    assert told.failed() == ["omni", "image-factory", "redis", "ports", "address"]
    assert told.took_s < AWAY_S
    assert "TLS handshake" in told.words("omni")


def test_omni_without_tls_that_is_deaf_is_said(place):
    with deaf_port() as port:
        told = place.doctor(omni_api_endpoint=f"http://127.0.0.1:{port}")
    assert told.failed() == ["omni"]
    assert "takes connections, and does not answer" in told.words("omni")


def test_omni_that_answers_no_call_is_said_in_time(place):
    with answering_port(EMPTY_SETTINGS, then_waits_s=20) as port:
        told = place.doctor(omni_api_endpoint=f"http://127.0.0.1:{port}")
    assert told["omni"] == "ok"
    assert told.failed() == ["signature"]
    assert "--omni-api-endpoint" in told.remedies("signature")
    assert told.took_s < AWAY_S


def test_omni_without_tls_is_reached(tmp_path, factory):
    """As the lab's is, which takes unsigned calls."""
    with OmniThread("bare-metal") as omni:
        told = Place(tmp_path, omni, None, factory.rack.factory.url).doctor(environ={})
    assert told.status == 0
    assert told["omni"] == told["key"] == told["signature"] == told["registration"] == "ok"
    assert told["clock"] == "skipped"
