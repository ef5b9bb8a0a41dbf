"""Where the mirror stands in Redis: one hash `om:m:UUID` for each machine, and the marks of the whole."""

from __future__ import annotations

MACHINES = "om:machines"
COMPLETE = "om:mirror:complete"
BUILDING = "om:mirror:building"
QUARANTINE = "om:quarantine"
WATCHED = "om:mirror:watched"
# The watcher says each second that it watches; a restart of it must not stop the rack.
WATCHED_MS = 60_000
FRESH = "om:fresh"
TRACKING = "om:tracking"
JOIN_CONFIG = "om:join-config"
AUTHORITY = "om:tls-authority"


def machine_key(machine_id: str) -> str:
    """The key of a machine's hash."""
    return f"om:m:{machine_id}"
