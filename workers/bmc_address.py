"""Where the BMC of a machine listens, for BMCs of the `api` kind that an agent announces: `*.config` files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workers.errors import AddressUnknown


def address_of(machine_id: str, state_dir: str | Path | None) -> str:
    """`host:port` from the file whose NodeUUID is the machine. Raises AddressUnknown.

    Host is the first of Network.GatewayAddrs (older files: GatewayAddrs), port is APIBindAddress.Port (older:
    APIPort).
    """
    if not state_dir:
        raise AddressUnknown("the agent's BMC is of the api kind, but --api-power-mgmt-state-dir is not set")
    for path in sorted(Path(state_dir).glob("*.config")):
        config = _read(path)
        if str(config.get("NodeUUID", "")).lower() == machine_id:
            return _address(path, config)
    raise AddressUnknown(f"no *.config file in {state_dir} has the NodeUUID {machine_id}")


def _read(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}  # half written by the one who makes it; the next attempt reads it again
    return config if isinstance(config, dict) else {}


def _address(path: Path, config: dict[str, Any]) -> str:
    hosts = (config.get("Network") or {}).get("GatewayAddrs") or config.get("GatewayAddrs") or []
    port = (config.get("APIBindAddress") or {}).get("Port") or config.get("APIPort")
    if not hosts or not isinstance(port, int):
        raise AddressUnknown(f"{path.name} names no gateway address or no API port")
    host = str(hosts[0])
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
