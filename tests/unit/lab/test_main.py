import os

import pytest

from lab import main as lab_main
from lab import options as lab_options
from lab.bmc.dice import Odds
from lab.places import flower_place, pages_place
from lab.product import child_environment
from lab.rack_bmcs import RackError


@pytest.fixture(autouse=True)
def _no_ports(monkeypatch):
    monkeypatch.setattr(lab_options, "usual_or_free", lambda usual: usual)


def test_options_have_the_values_of_a_short_life():
    options = lab_main.parse([])

    assert (options.rack.machines, options.rack.wipe_s, options.rack.boot_s) == (6, 2.0, 1.0)
    assert options.cooldown_s == 5
    assert "--power-poll-interval=2s" in options.passed_on
    assert not options.once


def test_flower_is_for_a_lab_that_stays():
    assert "--flower-listen=127.0.0.1:5555" in lab_main.parse([]).passed_on
    assert "--disable-flower=true" in lab_main.parse(["--once"]).passed_on
    assert lab_main.parse(["--once", "--flower-listen=127.0.0.1:9"]).passed_on[-1] == "--flower-listen=127.0.0.1:9"
    assert not any("flower-listen" in option for option in lab_main.parse(["--disable-flower"]).passed_on)


@pytest.mark.parametrize(
    ("options", "place"),
    [
        (["--flower-listen=127.0.0.1:9"], "http://127.0.0.1:9, user admin, password in /s/flower-password"),
        (
            ["--flower-listen=127.0.0.1:9", "--flower-password=sesame"],
            "http://127.0.0.1:9, user admin, password as given",
        ),
        (
            ["--flower-listen=[::]:9", "--api-advertise-address=fd00::1"],
            "http://[fd00::1]:9, user admin, password in /s/flower-password",
        ),
        (["--disable-flower"], ""),
        (["--no-such-option"], ""),
    ],
)
def test_place_of_flower_is_said_without_its_password(options, place):
    assert flower_place(["--state-dir=/s", *options]) == place


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ([], "http://127.0.0.1:9/, no login from this host"),
        (["--api-token=sesame"], "http://127.0.0.1:9/, token as given"),
        (["--no-such-option"], "http://127.0.0.1:9/"),
    ],
)
def test_place_of_the_pages_is_said_without_their_token(options, place):
    assert pages_place("http://127.0.0.1:9", ["--state-dir=/s", *options]) == place


def test_unknown_options_go_to_the_provider():
    options = lab_main.parse(["--machines", "3", "--wipe-with-zeroes", "--operation-attempts=2", "--once"])

    assert options.rack.machines == 3
    assert options.once
    assert options.passed_on[-2:] == ("--wipe-with-zeroes", "--operation-attempts=2")


def test_option_of_the_provider_beats_the_labs_default():
    options = lab_main.parse(["--power-poll-interval=10s", "--gateway-listen", "127.0.0.1:7"])

    assert options.passed_on[-3:] == ("--power-poll-interval=10s", "--gateway-listen", "127.0.0.1:7")


@pytest.mark.parametrize(
    "argv", [["--machines", "0"], ["--machines", "x"], ["--min-reboot-interval", "soon"], ["--wipe-seconds=-1"]]
)
def test_wrong_values_end_with_status_2_and_start_nothing(argv, capsys):
    assert lab_main.run(argv) == 2
    assert argv[0].partition("=")[0] in capsys.readouterr().err


def test_stand_ins_alone_find_their_provider_at_its_url():
    options = lab_main.parse(["--stand-ins=http://web:50042/", "--host=localhost", "--omni-port=8080"])

    assert options.stand_ins
    assert options.passed_on == ()
    assert (options.rack.provider_url, options.rack.host, options.rack.omni_port) == (
        "http://web:50042",
        "127.0.0.1",
        8080,
    )


@pytest.mark.parametrize(
    ("argv", "secure"), [([], True), (["--plain-omni"], False), (["--stand-ins=http://web:50042"], False)]
)
def test_omni_of_a_provider_of_ours_is_as_a_real_one_unless_told_otherwise(argv, secure):
    assert lab_main.parse(argv).rack.secure is secure


def test_machines_have_all_kinds_of_bmcs_where_the_provider_reaches_loopback():
    assert lab_main.parse([]).rack.kinds == ("api", "redfish", "ipmi")
    assert lab_main.parse(["--host=127.0.0.2"]).rack.kinds == ("api", "redfish", "ipmi")
    assert lab_main.parse(["--host=192.0.2.1"]).rack.kinds == ("api",)
    assert lab_main.parse(["--stand-ins=http://web:50042"]).rack.kinds == ("api",)
    assert lab_main.parse(["--bmc-kinds=ipmi, api"]).rack.kinds == ("ipmi", "api")


def test_dice_are_those_that_were_asked_for():
    rack = lab_main.parse(["--dice=explicit=0.1,slow-s=2", "--dice-seed=7"]).rack

    assert (rack.odds, rack.dice_seed) == (Odds(explicit=0.1, slow_s=2.0), 7)
    assert lab_main.parse([]).rack.odds.fair


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--bmc-kinds=api,ssh"], "--bmc-kinds: 'ssh' is none of api, redfish, ipmi"),
        (["--bmc-kinds=,"], "--bmc-kinds: name one or more of api, redfish, ipmi"),
        (["--bmc-kinds=ipmi", "--host=192.0.2.1"], "--stand-ins, or a --host that is not loopback, there is api alone"),
        (["--bmc-kinds=redfish", "--stand-ins=http://web:1"], "there is api alone"),
        (["--dice=explicit=2"], "--dice: 'explicit=2': a number from 0 to 1 is wanted"),
        (["--stand-ins=http://web:1", "--wipe-with-zeroes"], "no provider here that would take --wipe-with-zeroes"),
        (["--host=no such host"], "name an address of this host"),
    ],
)
def test_stand_ins_that_cannot_be_end_with_status_2(argv, said, capsys):
    assert lab_main.run(argv) == 2
    assert said in capsys.readouterr().err


def test_provider_gets_no_option_from_the_environment():
    environ = {
        "OMNI_ENDPOINT": "https://real",
        "OMNI_METAL_REDIS_URL": "redis://real",
        "HOME": "/h",
        "PYTHONPATH": "/x",
    }

    child = child_environment(environ)

    assert set(child) == {"HOME", "PYTHONPATH"}
    assert child["PYTHONPATH"].split(os.pathsep)[-1] == "/x"


def test_rack_that_cannot_be_is_said_with_the_remedy_and_leaves_nothing_behind(monkeypatch, capsys, tmp_path):
    class NoRack:
        def __init__(self, options):
            pass

        async def __aenter__(self):
            raise RackError("no such address; `--bmc-kinds=api` does without")

        async def __aexit__(self, *_):
            pass

    monkeypatch.setattr(lab_main, "Rack", NoRack)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    assert lab_main.run(["--once"]) == 1
    assert capsys.readouterr().err == "omni-metal lab: no such address; `--bmc-kinds=api` does without\n"
    assert list(tmp_path.iterdir()) == []
