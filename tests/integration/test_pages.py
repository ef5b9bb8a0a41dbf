"""The pages on a real Redis: a large fleet, what firmware said of itself, and the limit of logins."""

import re
import time
from urllib.parse import urlencode

import pytest

from app.omni.kinds import Kind
from app.state.attempts import Attempt, Attempts
from tests.integration.web_site import resource, web_site

pytestmark = pytest.mark.integration

MACHINES = 1_000
HERE = "127.0.0.1"
# It takes 0.2 s where nothing else runs.
FLEET_S = 3.0


def machine_id_of(number):
    return f"6d657461-6c00-4000-8000-{number:012x}"


def fleet(machine_ids):
    """The resources of machines that are wiped and ready."""
    for machine_id in machine_ids:
        yield resource(Kind.INFRA_MACHINE, machine_id, acceptance_status=1, wipe_id="w1")
        yield resource(Kind.MACHINE_STATUS, machine_id)
        yield resource(Kind.BMC_CONFIGURATION, machine_id)
        yield resource(Kind.WIPE_STATUS, machine_id, last_wipe_id="w1", initial_wipe_done=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with web_site(tmp_path_factory.mktemp("pages")) as site:
        site.mirror.put_all(fleet(machine_id_of(number) for number in range(MACHINES)))
        yield site


def shown(answer):
    """The machines in the table of a page, in order."""
    assert answer.status == 200, answer.text
    return re.findall(r'id="m-([0-9a-f-]+)"', answer.text)


def test_fleet_of_a_thousand_is_shown_fast_and_whole_page_by_page(site):
    began = time.monotonic()
    first = site.ask("/", address=HERE)
    assert time.monotonic() - began < FLEET_S
    assert f"<b>{MACHINES}</b> ready" in first.text and "page 1 of 5" in first.text
    pages = [shown(site.ask(f"/?page={page}", address=HERE)) for page in range(1, 6)]
    assert [len(page) for page in pages] == [200] * 5
    assert [machine_id for page in pages for machine_id in page] == [machine_id_of(n) for n in range(MACHINES)]


@pytest.mark.parametrize("text", ["00:25:90:AB:cd:07", "00-25-90-ab-cd-07", "sn-0007"])
def test_machine_that_booted_is_found_by_what_its_firmware_said(site, text):
    named = {"uuid": machine_id_of(7), "mac": "00-25-90-ab-cd-07", "serial": "SN-0007 <b>", "arch": "x86_64"}
    assert site.ask(f"/ipxe/boot.ipxe?{urlencode(named)}").status == 200
    found = site.ask(f"/?{urlencode({'q': text})}", address=HERE)
    assert shown(found) == [machine_id_of(7)]
    assert "SN-0007 &lt;b&gt;" in found.text


def test_parked_machine_stands_first_with_its_cause(site):
    machine_id = machine_id_of(900)
    refused = Attempt("wipe", "cause", 5, 0, True, "WipeRefused", "RAID member <i>", 1_790_000_000_000)
    Attempts(site.redis).store(machine_id, refused)
    fleet = site.ask("/", address=HERE)
    assert shown(fleet)[0] == machine_id and "<b>1</b> parked" in fleet.text
    assert "RAID member &lt;i&gt;" in fleet.text
    assert shown(site.ask("/?phase=parked", address=HERE)) == [machine_id]
    machine = site.ask(f"/machines/{machine_id}", address=HERE)
    assert "wipe is parked after 5 failed attempts: RAID member &lt;i&gt;" in machine.text


def test_logins_are_limited_for_each_address_apart(tmp_path):
    with web_site(tmp_path, "--api-token=sesame") as site:
        tried = [site.ask("/login", "POST", "10.0.0.8").status for _ in range(12)]
        assert tried == [403] * 10 + [429] * 2
        assert site.ask("/login", "POST", "10.0.0.9").status == 403
        assert site.ask("/login", address="10.0.0.8").status == 200
