"""Measure a run by an outside program that plays the rack and judges: `rack run --n N --provider COMMAND`.

It starts the command with the addresses of its stand-ins in the environment, and ends with one line of JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from typing import Any, Final

from lab.bench.figures import OURS, Figures

LIMIT_S: Final = 900.0  # its own limit
_PROVIDER: Final = (
    "{python} -m app.cli run --state-dir {folder} --omni-api-endpoint $OMNI_ENDPOINT "
    "--api-advertise-address 127.0.0.1 --disable-dhcp-proxy --agent-test-mode "
    "--image-factory-base-url $RACK_FACTORY --image-factory-pxe-base-url $RACK_FACTORY "
    "--api-power-mgmt-state-dir $RACK_STATE_DIR"
)


class RackError(Exception):
    """The program failed, or found something wrong; the text says what."""


def measure(program: str, machines: int) -> Figures:
    """One run with so many machines. Raises RackError."""
    with tempfile.TemporaryDirectory(prefix="omni-metal-bench-") as folder:
        provider = _PROVIDER.format(python=sys.executable, folder=folder)
        command = [program, "run", "--n", str(machines), "--wipe", "2s", "--provider", provider]
        try:
            ended = subprocess.run(  # noqa: S603  # the program that was asked for
                command, capture_output=True, text=True, timeout=LIMIT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RackError(f"{program}: {error}") from None
    return read(program, ended.stdout, ended.stderr)


def read(program: str, output: str, errors: str) -> Figures:
    """The figures in what the program wrote. Raises RackError."""
    try:
        said: dict[str, Any] = json.loads(output.strip().rpartition("\n")[2])
        machines = int(said["n"])
        figures = Figures(
            OURS,
            machines,
            float(said["all_ready_s"]),
            float(said["all_off_s"]),
            float(said["all_reported_off_s"]),
            float(said["sweep_s"]),
            sum(said["omni_calls"].values()) / machines,
            float(said["provider_pss_end_mb"]),
            float(said["provider_cpu_s"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        last = (errors.strip() or output.strip()).rpartition("\n")[2]
        raise RackError(f"{program} did not end with its figures: {last}") from None
    if said.get("violations"):
        raise RackError(f"{program} saw what must not be: {'; '.join(map(str, said['violations']))}")
    return figures
