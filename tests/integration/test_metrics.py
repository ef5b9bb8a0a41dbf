"""What `/metrics` tells of a whole site that works and fails."""

import sys
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.whole_site import WholeSite

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]


def told(site):
    """Values by name and the values of their labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{site.port}/metrics", timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return {(s.name, *sorted(s.labels.values())): s.value for family in families for s in family.samples}


def test_metrics_of_a_site_say_what_was_done_and_what_is_wrong(tmp_path):
    with WholeSite(tmp_path, "--operation-attempts=1", machines=3, wipe_s=0.2, boot_s=0.2, fail_wipes=1) as site:
        site.accept_all()
        site.until(lambda rack: sum(rack.observe(m).ready for m in rack.machines) == 2, 60, "two are ready")
        site.until(lambda _: told(site)["omni_metal_machines", "parked"] == 1, 30, "the third is parked")
        site.until(lambda _: told(site)["omni_metal_operations_total", "done", "power_off"] == 2, 30, "two are off")
        values = told(site)
        assert values["omni_metal_operations_total", "done", "wipe"] == 2
        assert values["omni_metal_operations_total", "failed", "wipe"] == 1
        assert values["omni_metal_operations_parked", "wipe"] == 1
        assert values["omni_metal_attempts_failed", "wipe"] == 1
        assert values["omni_metal_operation_duration_seconds_count", "wipe"] == 3
        assert 0.4 <= values["omni_metal_operation_duration_seconds_sum", "wipe"] < 10
        assert values["omni_metal_boots_total", "agent-pxe"] == 3
        assert values["omni_metal_queue_depth", "wipe"] == values["omni_metal_queue_oldest_age_seconds", "wipe"] == 0
        assert 0 <= values["omni_metal_sweep_duration_seconds",] < 5
        assert values["omni_metal_bmc_unread",] == 0
        site.until(lambda _: told(site)["omni_metal_tunnels",] == 1, 15, "one agent is left")  # told each 5 s
        for up in ("redis_up", "watcher_alive", "omni_connected", "mirror_complete", "gateways"):
            assert values[f"omni_metal_{up}",] == 1
