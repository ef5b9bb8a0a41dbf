"""Omni refuses the provider's account for a while: what runs ends, nothing begins, all is recorded when it works again.

Watches that are open go on meanwhile, as a real Omni lets them: the provider sees what is wanted, and may not act.
"""

import sys
import time

import grpc
import pytest

from app.machine.model import PreferredPowerState
from app.machine.verbs import Verb
from app.omni.kinds import Kind
from app.state.attempts import Attempts
from tests.integration.children import wait_until
from tests.integration.fault_site import FaultSite
from workers.enqueue import order

pytestmark = [
    pytest.mark.integration,
    pytest.mark.fault,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

# Longer than a heartbeat may be away, and than the wipe that runs.
REFUSED_S = 30
WIPED, IN_TALOS, PENDING, IDLE, ORDERED = range(5)


class Revoked:
    """The account is deleted, and made anew with the same key."""

    name, code, remedy = "the account deleted for 30 s", "key-refused", "omnictl infraprovider renewkey ID"

    @staticmethod
    def begin(rack):
        rack.omni.signatures.forget(rack.key)

    @staticmethod
    def end(rack):
        rack.omni.signatures.add(rack.key)


class NotRegistered:
    """The provider is not registered, and all watches have to begin anew."""

    name, code, remedy = "the provider not registered for 30 s", "not-registered", "omnictl infraprovider create ID"

    @staticmethod
    def begin(rack):
        words = 'infra provider with name "bare-metal" is not registered in the system'
        rack.omni.refuse_all(grpc.StatusCode.PERMISSION_DENIED, words)
        rack.omni.end_watches()

    @staticmethod
    def end(rack):
        rack.omni.refuse_none()


@pytest.mark.parametrize("refusal", [Revoked, NotRegistered])
def test_account_refused_amid_a_wipe_nothing_begins_and_all_is_recorded_later(tmp_path, survived, refusal):
    with FaultSite(tmp_path, machines=5, wipe_s=8, boot_s=0.2, secure=True) as site:
        attempts = Attempts(site.redis)
        site.join_all()
        site.accept(IN_TALOS, IDLE, ORDERED)
        site.until_ready_and_off(IN_TALOS, IDLE, ORDERED)
        site.allocate(IN_TALOS, ORDERED)
        site.until_in_talos(IN_TALOS, ORDERED)
        site.accept(WIPED)
        site.until_wiping(WIPED)
        hit = [site.figures(p) for p in range(5)]
        site.do(lambda: refusal.begin(site.thread.rack))
        # All that follows is what an operator wants meanwhile; the account of the provider alone is refused.
        site.deallocate(IN_TALOS, ORDERED)
        site.accept(PENDING)
        site.prefer(PreferredPowerState.ON, IDLE)
        until_s = time.monotonic() + REFUSED_S
        told = wait_until(lambda: (found := site.omni_check()) and found["code"] == refusal.code and found, 30)
        assert not told["ok"] and refusal.remedy in told["remedy"]
        page = site.fetched("/")
        assert refusal.code in page and refusal.remedy in page
        assert site.logged("omni_not_ready")[-1]["code"] == refusal.code
        ordered = site.machines[ORDERED].id
        orders = [order(site.settings, site.redis, ordered, verb, "test") for verb in (Verb.WIPE, Verb.REBOOT)]
        task_ids = [task_id for ordered in orders for task_id in ordered.task_ids]
        for task_id in task_ids:
            wait_until(lambda task_id=task_id: b"skipped: Omni refuses this provider" in (site.result(task_id) or b""))
        assert site.boot_status(IDLE) == 200
        while time.monotonic() < until_s:
            time.sleep(1)
        assert site.omni_check()["code"] == refusal.code
        assert site.wipes() == [(1, 1, 0), (1, 1, 0), (0, 0, 0), (1, 1, 0), (1, 1, 0)]
        assert site.omni(lambda omni: omni.get(Kind.WIPE_STATUS, site.machines[WIPED].id)) is None
        changed = [site.figures(p) - hit[p] for p in range(5)]
        assert changed == [{"done": 1}, {}, {}, {}, {}]
        assert [attempts.of(m.id) for m in site.machines] == [{}] * 5
        assert site.recorded() == [0, 1, 0, 1, 1]

        site.do(lambda: refusal.end(site.thread.rack))
        wait_until(lambda: site.omni_check()["ok"], 30)
        site.until_ready_and_off(WIPED, IN_TALOS, PENDING, ORDERED)
        site.until(lambda _: site.machines[IDLE].powered_on, 30, "powered on, as was wanted")
        assert site.wipes() == [(1, 1, 0), (2, 2, 0), (1, 1, 0), (1, 1, 0), (2, 2, 0)]
        assert site.recorded() == [1, 2, 1, 1, 2]
        assert site.complaints() == []
        survived(refusal.name, "a wipe that ends meanwhile", site.outcome(WIPED, hit[WIPED]))
        survived(refusal.name, "a machine taken out of its cluster meanwhile", site.outcome(IN_TALOS, hit[IN_TALOS]))
        survived(refusal.name, "a machine accepted meanwhile", site.outcome(PENDING, hit[PENDING]))
        survived(refusal.name, "a machine that is to be powered on meanwhile", site.outcome(IDLE, hit[IDLE]))
