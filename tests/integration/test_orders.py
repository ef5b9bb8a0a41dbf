"""What a person orders, on the real processes: refused with the reason, or done and told, also for a lost record."""

import json
import subprocess
import sys
import urllib.request

import pytest

from app.omni.kinds import Kind
from app.state.history import History
from lab.hardware import Stage
from lab.life import TALOS_VERSION
from lab.omni.store import Place
from tests.integration.whole_site import WholeSite

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]

COMMAND_S = 60  # a Python process on two busy cores, and its own wait


def command(site, *words):
    """Exit status and all that an omni-metal command has written."""
    where = [f"--redis-url={site.settings.redis_url}", f"--state-dir={site.settings.state_dir}"]
    argv = [sys.executable, "-m", "app.cli", *words, *where]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=COMMAND_S, check=False)
    return done.returncode, done.stdout + done.stderr


def asked(site, machine, path="", method="GET"):
    """What the API answers about a machine."""
    url = f"http://127.0.0.1:{site.port}/api/v1/machines/{machine.id}{path}"
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=5) as answer:
        return json.load(answer)


def lose_record(site, machine):
    """Somebody destroys the record of a machine's wipe in Omni."""
    omni, kind = site.thread.rack.omni, Kind.WIPE_STATUS
    place = Place(kind.namespace(omni.provider_id), kind.type(omni.provider_id))
    site.thread.call(lambda: omni._store.destroy(place, machine.id, kind.owner(omni.provider_id)))


def into_cluster(site, *machines):
    for machine in machines:
        site.thread.call(lambda m=machine: site.thread.rack.omni.allocate(m.id, TALOS_VERSION))
    site.until(lambda rack: all(in_talos(rack, m) for m in machines), 40, "running Talos")


def in_talos(rack, machine):
    return machine.stage is Stage.TALOS and rack.observe(machine).installed


def doings(site, machine):
    """All that has happened to a machine and its BMC but readings."""
    counts, calls = site.thread.call(lambda: (dict(machine.counts), dict(machine.bmc.calls)))
    calls.pop("status", None)
    return counts, calls


def test_orders_are_refused_or_done_as_omni_wants_and_a_lost_record_is_a_persons_word(tmp_path):
    with WholeSite(tmp_path, machines=3, wipe_s=0.5, boot_s=0.2) as site:
        site.accept_all()
        site.ready_and_off()
        kept, wiped, idle = site.machines
        orders_on_an_idle_machine(site, idle)
        into_cluster(site, kept, wiped)
        for machine in site.machines:
            lose_record(site, machine)
        site.until(lambda _: all(asked(site, m)["phase"] == "record-lost" for m in site.machines), 20, "records lost")
        before = doings(site, kept)
        orders_on_lost_records(site, kept, wiped, idle)
        site.until(lambda _: wiped.counts["wipe done"] == 2, 30, "wiped again")
        site.until(lambda rack: in_talos(rack, wiped), 30, "in its cluster again")
        orders_on_an_adopted_machine(site, kept)
        assert doings(site, kept) == before
        assert site.thread.call(lambda: in_talos(site.thread.rack, kept) and site.thread.rack.observe(kept).wiped)
        assert asked(site, idle)["phase"] == "record-lost" and not idle.powered_on
        assert site.complaints() == []


def orders_on_an_idle_machine(site, idle):
    status, said = command(site, "wipe", idle.id.upper())
    assert status == 1 and "nothing was started: Omni does not want it wiped: its wipe id" in said
    status, said = command(site, "power", idle.id, "on")
    assert status == 1 and "Omni prefers it off" in said
    assert asked(site, idle, "/reboot", "POST")["skipped"] == "Omni has asked for no reboot, and the machine is off."
    assert command(site, "pxe", idle.id) == (0, "started: pxe_arm\ndone: armed to boot from the network once\n")
    status, said = command(site, "retry", idle.id[:8])
    assert status == 1 and said.count("\n  ") == len(site.machines)
    assert not idle.powered_on and site.thread.call(lambda: idle.counts["wipe begun"]) == 1


def orders_on_lost_records(site, kept, wiped, idle):
    status, said = command(site, "wipe", kept.id)
    assert status == 1 and "`omni-metal record MACHINE --adopt`" in said
    status, said = command(site, "record", idle.id, "--adopt")
    assert status == 1 and "in no cluster" in said
    legal = {offer["verb"] for offer in asked(site, kept)["verbs"] if offer["legal"]}
    assert legal == {"record-adopt", "record-wipe", "bmc-test", "bmc-probe"}
    status, said = command(site, "record", kept.id, "--adopt")
    assert status == 0 and "done: wrote the lost record anew: the disks are kept" in said
    status, said = command(site, "record", wiped.id, "--wipe", "--wait=20s")
    assert status == 0 and "done: wrote the lost record anew: the disks are to be wiped" in said


def orders_on_an_adopted_machine(site, kept):
    shown = asked(site, kept)
    assert (shown["phase"], shown["gate"], shown["boot_mode"]) == ("in-cluster", None, "talos-disk")
    for words, reason in [
        (("power", kept.id, "on"), "It is on, as it should be: it is in a cluster"),
        (("reboot", kept.id), "Omni has asked for no reboot"),
        (("record", kept.id, "--wipe"), "No record is lost"),
    ]:
        status, said = command(site, *words)
        assert status == 1 and reason in said, said
    assert [e.outcome for e in History(site.redis).read(kept.id) if e.operation == "adopt_record"] == ["done"]
