"""Whether DHCP proxy and TFTP can have their ports, or have them; else who is in the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from app.doctor.finding import Finding, failed, failed_as_said, ok, skipped, warning
from app.doctor.own import own_process
from app.doctor.processes import LOG, SIGN_S, newest_sign_s
from app.doctor.site import Site
from app.errors import StartError
from app.ports import Holder, command_of, udp_holders_of, udp_is_held
from config.paths import run_dir_path
from netboot.place import Place, place_of
from netboot.ports import TFTP_PORT, dhcp_ports, try_port
from netboot.rights import user_named

NOT_USED: Final = "--disable-dhcp-proxy is set, so your own DHCP server has to start iPXE on the machines"
_ELSEWHERE: Final = "nothing where `omni-metal netboot` runs on another host or in a container of its own; else"


def look(site: Site) -> Sequence[Finding]:
    """Try each port, and look who holds it."""
    settings = site.settings
    if settings.disable_dhcp_proxy:
        return [skipped(NOT_USED)]
    sign_s = newest_sign_s(run_dir_path(settings.state_dir) / "alive", "netboot")
    try:
        place = place_of(settings)
        user_named(settings.netboot_user)
    except StartError as error:
        return [start_finding(str(error), runs_here=site.bundled)]
    found = [_look_at(site, place, number, sign_s) for number in (*dhcp_ports(settings), TFTP_PORT)]
    return [*found, *sign_findings(sign_s, under_run=site.run_process is not None)]


def _look_at(site: Site, place: Place, number: int, sign_s: float | None) -> Finding:
    holders = udp_holders_of(number)
    own = [holder for holder in holders if own_process(holder.command) == "netboot"]
    if own:
        return own_finding(number, own, site.run_process)
    if udp_is_held(number) and not holders:
        return hidden_finding(number, ours=sign_s is not None and sign_s <= SIGN_S)
    try:
        try_port(place, number)  # which others may share: nothing tells but trying
    except StartError as error:
        return start_finding(str(error), runs_here=site.bundled)
    awaited = site.run_process is not None and not site.just_started
    return free_finding(number, holders, awaited=awaited)


def start_finding(text: str, *, runs_here: bool) -> Finding:
    """What it means that netboot could not start here. runs_here: it is started with all others by `omni-metal run`."""
    if runs_here:
        return failed_as_said(text)
    words, _, remedy = text.partition("; ")
    return warning(f"netboot could not run here: {words}", f"{_ELSEWHERE} {remedy}".removesuffix("; else "))


def own_finding(number: int, own: Sequence[Holder], run_process: int | None) -> Finding:
    """What it means that netboot processes hold a port. run_process: the `omni-metal run` of this state directory."""
    pids = {holder.process for holder in own}
    top = next((holder for holder in own if holder.parent not in pids), own[0])
    if top.parent != run_process and own_process(command_of(top.parent)) == "run":
        words = f"{number} is held by another `omni-metal run` (process {top.parent}), of another state directory"
        return failed(words, "end that one; if it is the one you mean, name its --state-dir")
    return ok(f"{number} is held by our own netboot (process {top.process})")


def hidden_finding(number: int, *, ours: bool) -> Finding:
    """What it means that a port is in use, and the system does not tell by whom. ours: our netboot lives."""
    if ours:
        return ok(f"{number} is held, and our own netboot lives")
    words = f"{number} is in use by a program that this user may not look at"
    return warning(words, "run the doctor as root to see which")


def free_finding(number: int, holders: Sequence[Holder], *, awaited: bool) -> Finding:
    """What it means that a port can be had. holders: others, who share it; awaited: it should be ours by now."""
    beside = f", beside {holders[0].words}" if holders else ""
    if awaited:
        words = f"{number} is free{beside}, although `omni-metal run` runs: netboot does not have it"
        return warning(words, f"look into the log for why netboot ended; {LOG.partition('; ')[2]}")
    return ok(f"{number} can be had{beside}" if holders else f"{number} is free")


def sign_findings(sign_s: float | None, *, under_run: bool) -> Sequence[Finding]:
    """How the netboot process stands by its sign of life. sign_s: the age of it; under_run: it must be on this host."""
    if sign_s is None or sign_s <= SIGN_S or not under_run:
        return []
    return [failed(f"netboot: no sign of life for {sign_s:.0f} s, so machines do not boot from the network", LOG)]
