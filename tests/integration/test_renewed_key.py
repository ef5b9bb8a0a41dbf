"""A new service account key, as the operator is told to renew it: another secret for all that is sealed in Redis."""

import signal
import sys

import pytest

from lab.omni.keys import make_key
from tests.integration.children import wait_until
from tests.integration.fault_site import FaultSite
from tests.integration.whole_site import UP_S

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]


def test_provider_that_starts_with_a_renewed_key_carries_on(tmp_path):
    with FaultSite(tmp_path, machines=2, wipe_s=0.5, boot_s=0.2, secure=True) as site:
        site.join_all()
        site.accept(0, 1)
        site.until_ready_and_off(0, 1)
        renewed = make_key("bare-metal")
        site.omni(lambda omni: omni.signatures.add(renewed))
        site.process.send_signal(signal.SIGTERM)
        assert site.process.wait(30) == 0
        size = site.log.stat().st_size

        site.environ |= {"OMNI_SERVICE_ACCOUNT_KEY": renewed.variable}
        site.process = site.start("run", site.options)
        wait_until(lambda: '"omni_ready"' in site.log.read_text()[size:], UP_S)
        site.omni(lambda omni: omni.signatures.forget(site.thread.rack.key))
        site.allocate(0, 1)
        site.until_in_talos(0, 1)

        said = site.log.read_text()[size:]
        assert "sealed with another key" not in said
        assert '"level": "error"' not in said
        assert site.wipes() == [(1, 1, 0)] * 2
        assert site.complaints() == []
