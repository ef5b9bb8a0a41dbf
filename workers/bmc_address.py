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
    folder = Path(state_dir)
    path = _places.get((folder, machine_id))
    config = _read(path) if path else {}
    if path is None or _machine_of(config) != machine_id:
        _look_through(folder)
        path = _places.get((folder, machine_id))
        config = _read(path) if path else {}
    if path is None or _machine_of(config) != machine_id:
        raise AddressUnknown(f"no *.config file in {state_dir} has the NodeUUID {machine_id}")
    return _address(path, config)


# Which file is whose: so that setting up a rack does not read every file for every machine. It is only a hint.
_places: dict[tuple[Path, str], Path] = {}


def _look_through(folder: Path) -> None:
    for path in sorted(folder.glob("*.config"), reverse=True):  # of two files for one machine the first one counts
        _places[folder, _machine_of(_read(path))] = path


def _machine_of(config: dict[str, Any]) -> str:
    return str(config.get("NodeUUID", "")).lower()


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
