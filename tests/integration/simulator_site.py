"""A whole site whose machines are BMCs that others wrote, and nothing else: no firmware, no agent."""

import json
import urllib.request
from functools import partial

from app.machine.model import BmcConfiguration, OperationName, PreferredPowerState
from app.omni.kinds import Kind
from app.state.history import History
from lab.bench.fleet import put_machine
from tests.integration.children import wait_until
from tests.integration.whole_site import WholeSite
from workers.enqueue import TASKS

SETTLED_S = 30
# Nobody listens there.
NOWHERE = BmcConfiguration(api_address="127.0.0.1:9")


class SimulatorSite(WholeSite):
    """Machines are named by their id."""

    def __init__(self, folder, redfish_port):
        # Polled as often as this, a BMC would else be left alone for half of the time.
        options = (f"--redfish-port={redfish_port}", "--ipmi-min-interval=200ms")
        super().__init__(folder, *options, machines=0)

    def add(self, machine_id):
        """A machine that is idle, with a BMC that is nowhere."""
        self.omni(lambda omni: put_machine(machine_id, omni, NOWHERE))

    def omni(self, act):
        return self.thread.call(lambda: act(self.thread.rack.omni))

    def give_login(self, machine_id, config):
        """What a user does in Omni."""
        self.omni(lambda omni: omni.set_bmc_config(machine_id, config))

    def prefer(self, machine_id, state):
        def want(draft):
            draft.spec.preferred_power_state = state

        self.omni(lambda omni: omni._change(machine_id, want))

    def record(self, kind, machine_id):
        """What stands in Omni."""
        return self.omni(lambda omni: omni.get(kind, machine_id)).spec

    def shown(self, machine_id):
        """What the API answers about a machine."""
        url = f"http://127.0.0.1:{self.port}/api/v1/machines/{machine_id}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)

    def order(self, machine_id, operation):
        """Start a task by hand; the answer is what it ended with."""
        task_id = TASKS[operation].apply_async(kwargs={"machine_id": machine_id}).id
        return wait_until(lambda: self.result(task_id), SETTLED_S).decode()

    def until_reported(self, machine_id, state, timeout_s=SETTLED_S):
        """Wait until Omni is told of this power state."""
        wait_until(lambda: self.record(Kind.INFRA_MACHINE_STATUS, machine_id).power_state == state, timeout_s)

    def until_done(self, machine_id, operation, times, timeout_s=SETTLED_S):
        """Wait until an operation that was due has ended so often; the answer is the last entry in the history."""
        return wait_until(partial(self._done, machine_id, operation, times), timeout_s)

    def _done(self, machine_id, operation, times):
        history = History(self.redis).read(machine_id)
        entries = [e for e in history if e.operation == operation.value and e.outcome != "skipped"]
        assert len(entries) <= times, entries
        return len(entries) == times and max(entries, key=lambda entry: entry.ended_ms)


ON, OFF = PreferredPowerState.ON, PreferredPowerState.OFF
POWER_ON, POWER_OFF = OperationName.POWER_ON, OperationName.POWER_OFF
REBOOT, PXE_ARM = OperationName.REBOOT, OperationName.PXE_ARM
