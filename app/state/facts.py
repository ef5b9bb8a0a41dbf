"""What is known of a machine now, from what the processes noted in Redis: pure functions of those notes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from app.machine.model import Facts, PowerState
from app.state.bmc_notes import BmcFound, BmcTrouble
from app.state.waiting import PowerTurn

# A tunnel that breaks is dialled again within seconds; a machine that stays away for a minute is not in agent mode.
GONE_AFTER_MS = 60_000
# An agent that answers this long after a reset on the tunnel it had before was not reset at all.
SURVIVED_RESET_MS = 15_000
# The power of a machine is read every 30 s by default; ten missed reads mean that nobody is reading.
POWER_STALE_MS = 300_000


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A registered tunnel. Times in ms; hello_ms is 0 until the agent has answered.

    address: where its gateway is called. peer: the address that its agent came from, '' where that is not known.
    """

    gateway: str
    address: str
    number: int
    opened_ms: int
    hello_ms: int
    peer: str = ""


@dataclass(frozen=True, slots=True)
class PowerRead:
    """An answer of a BMC, which is too old to count. at_ms: when it was read."""

    on: bool
    at_ms: int


@dataclass(frozen=True, slots=True)
class RefusedTunnel:
    """A second tunnel of a machine, refused while the agent at the first one answered. at_ms: the last time."""

    at_ms: int
    address: str


@dataclass(frozen=True, slots=True)
class Notes:
    """What was noted of a machine. Times in ms, 0 = never.

    power_said, power_said_ms: the last answer that its BMC gave before it could not be read any more.
    acted_ms: when we last sent it an on, off or reset.
    hello_ms: when its agent last answered, on whichever tunnel.
    gone_ms: when its last tunnel ended.
    booted_ms: when it last fetched a boot script.
    mac, serial: what its firmware called itself at its last boot, for people.
    tracking_ms: since when watcher, gateway and registry are up without a gap.
    stepped_ms: when the clock was last put forward or back, by the clock as it stands now.
    bmc_found: what its BMC is.
    bmc_trouble: what its BMC answered instead of the power state.
    refused_tunnel: somebody else's tunnel that was not let in, for people.
    power_turn: the turn to draw power that it waits for.
    """

    power: PowerState | None = None
    power_ms: int = 0
    power_said: PowerState | None = None
    power_said_ms: int = 0
    acted_ms: int = 0
    tunnel: Tunnel | None = None
    hello_ms: int = 0
    gone_ms: int = 0
    booted_ms: int = 0
    tracking_ms: int = 0
    mac: str = ""
    serial: str = ""
    stepped_ms: int = 0
    bmc_found: BmcFound | None = None
    bmc_trouble: BmcTrouble | None = None
    refused_tunnel: RefusedTunnel | None = None
    power_turn: PowerTurn | None = None


def refused_of(note: str) -> RefusedTunnel | None:
    """What the machine's hash says of a second tunnel: when it was refused, and the address, which may be unknown."""
    at_ms, _, address = note.partition(" ")
    return RefusedTunnel(int(at_ms), address) if at_ms else None


def passed_ms(notes: Notes, now_ms: int, earlier_ms: int, later_ms: int) -> int:
    """How long after the first time the second one was, at least; not above 0 where it was before.

    A time ahead of the clock stands from before the clock was put back; one from before a step tells nothing of how
    long ago it is.
    """
    earlier_stands, later_stands = (notes.stepped_ms <= ms <= now_ms for ms in (earlier_ms, later_ms))
    if earlier_stands == later_stands:
        return later_ms - earlier_ms
    return max(1, later_ms - (notes.stepped_ms or later_ms)) if later_stands else 0


def power_on(notes: Notes, now_ms: int) -> bool | None:
    """What the BMC said last, unless that is too old or an agent has spoken since."""
    if notes.power is None or now_ms - notes.power_ms > POWER_STALE_MS:
        return None
    if (
        notes.power is PowerState.OFF
        and notes.tunnel
        and passed_ms(notes, now_ms, notes.power_ms, notes.tunnel.hello_ms) > 0
    ):
        return None
    return {PowerState.ON: True, PowerState.OFF: False, PowerState.UNKNOWN: None}[notes.power]


def old_power(notes: Notes, now_ms: int) -> PowerRead | None:
    """What the BMC said last, where that does not count any more; None where we have touched the power since."""
    readings = (notes.power, notes.power_ms), (notes.power_said, notes.power_said_ms)
    last = next(((state, at_ms) for state, at_ms in readings if state in (PowerState.ON, PowerState.OFF)), None)
    if last is None or power_on(notes, now_ms) is not None or not notes.acted_ms < last[1] <= now_ms:
        return None
    return PowerRead(last[0] is PowerState.ON, last[1])


def agent_accessible(notes: Notes, now_ms: int) -> bool | None:
    """True, False, or None where it cannot be told (docs/behaviour.md, agent accessible)."""
    tunnel = notes.tunnel
    if power_on(notes, now_ms) is False:
        return False
    if tunnel and tunnel.hello_ms:
        opened_after_ms = passed_ms(notes, now_ms, notes.acted_ms, tunnel.opened_ms)
        answered_after_ms = passed_ms(notes, now_ms, notes.acted_ms, tunnel.hello_ms)
        return opened_after_ms > 0 or answered_after_ms > SURVIVED_RESET_MS
    if passed_ms(notes, now_ms, notes.hello_ms, notes.acted_ms) > 0:
        return False
    if tunnel or not notes.tracking_ms:
        return None
    gone_ms = notes.gone_ms if notes.gone_ms <= now_ms else 0
    gone_since_ms = max(notes.tracking_ms, gone_ms, notes.stepped_ms)
    return False if now_ms - gone_since_ms >= GONE_AFTER_MS else None


def facts(notes: Notes, now_ms: int, *, login_refused: bool = False) -> Facts:
    """The facts that decisions are made on. login_refused: the BMC refused the very login that is in use."""
    return Facts(
        powered_on=power_on(notes, now_ms),
        agent_accessible=agent_accessible(notes, now_ms),
        clock_stepped=datetime.fromtimestamp(notes.stepped_ms / 1000, UTC) if notes.stepped_ms else None,
        login_refused=login_refused,
    )
