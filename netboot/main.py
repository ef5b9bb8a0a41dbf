"""The netboot process: opens the ports of DHCP proxy and TFTP, gives up its rights, and keeps both running.

It needs the advertise address and the iPXE binaries, no Omni, no Redis and no key. One runs in each network segment.
What comes from the network is read in its two children alone, DHCP in one and TFTP in the other. Both have the ports
from here, so one that dies is started again without any right.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from typing import Final

import structlog

from app.alive import Sign
from app.boot.ipxe.files import boot_files, say_what_is_not_patched
from app.child import Child
from app.errors import StartError
from app.keeping import FAILED, Supervisor, tell
from config import logs
from config.settings import Settings
from netboot.dhcp.sockets import is_interface_gone
from netboot.forked import ForkedChild
from netboot.place import Place, place_of
from netboot.ports import Ports, open_ports
from netboot.rights import User, drop_rights, user_named
from netboot.serving import load, serve_dhcp, serve_tftp

log = structlog.get_logger()

# Both look up once a second, which leaves some for a busy machine, and `run` waits for longer. Transfers that are cut
# off begin anew, as the machine asks again.
STOP_TIMEOUT_S: Final = 5.0
NOTHING_TO_DO: Final = (
    "it waits for its end, as --disable-dhcp-proxy says; to run DHCP proxy and TFTP here leave that out of the command "
    "line, the environment (OMNI_METAL_DISABLE_DHCP_PROXY) and the file of --config"
)

OWN_ADDRESS: Final = "name this host's own address in --dhcp-proxy-iface-or-ip, unless that one leads here"
OWN_INTERFACE: Final = (
    "serve the interface that has it (--dhcp-proxy-iface-or-ip), or advertise an address on this one; nothing where "
    "machines reach it by this one"
)
ANOTHER_INTERFACE: Final = "it is the only one; where machines are on one without an address, name that one"


def run(settings: Settings, *, dry_run: bool) -> int:
    """Run DHCP proxy and TFTP until a signal comes; return the exit status.

    Args:
        settings: of which the advertise address and the options of netboot count.
        dry_run: log each packet and what would be answered, and answer nothing.
    """
    logs.configure(settings.debug, "netboot")
    # Ignored by whoever starts us, it is ignored here too: then the kernel does not keep how a child has ended.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        return _wait(settings) if settings.disable_dhcp_proxy else _run(settings, dry_run=dry_run)
    except StartError as error:
        tell(str(error))
        return FAILED


def try_start(settings: Settings) -> None:
    """Find out whether it could start here, and leave nothing open.

    Raises:
        StartError: it could not; the text says why, and how to do without.
    """
    try:
        _user(settings)
        boot_files(settings)
        with open_ports(settings, place_of(settings)):
            pass
    except StartError as error:
        without = "; or set --disable-dhcp-proxy, to do without DHCP proxy and TFTP here"
        raise StartError(f"{error}{'' if '--disable-dhcp-proxy' in str(error) else without}") from None


def _wait(settings: Settings) -> int:
    """Do nothing until a signal comes: what keeps us running, such as compose, would start us again for ever."""
    sign = _sign(settings)
    if sys.platform == "linux":
        drop_rights(_user(settings))
    log.info("netboot_has_nothing_to_do", remedy=NOTHING_TO_DO)
    return Supervisor((), each_look=partial(_show, sign)).run()


def _run(settings: Settings, *, dry_run: bool) -> int:
    user = _user(settings)
    place, files = place_of(settings), boot_files(settings)
    say_what_is_not_patched(settings)
    _say_what_is_doubtful(place)
    with open_ports(settings, place) as ports:
        sign = _sign(settings)
        load()
        drop_rights(user)
        children = (
            ForkedChild("netboot-dhcp", partial(serve_dhcp, settings, ports, place, dry_run=dry_run)),
            ForkedChild("netboot-tftp", partial(serve_tftp, settings, ports, files, dry_run=dry_run)),
        )
        log.info(
            "netboot_open",
            interface=place.interface,
            ports=[*ports.dhcp, ports.tftp.getsockname()[1]],
            address=place.site.address,
            provider=place.site.http_url,
            user=user.name if user else os.geteuid(),
            dry_run=dry_run,
        )
        look = partial(_look, children, sign, ports, place)
        return Supervisor(children, stop_timeout_s=STOP_TIMEOUT_S, each_look=look).run()


def _say_what_is_doubtful(place: Place) -> None:
    """Log what may keep machines from booting, as nobody on this host can know."""
    address, interface = place.site.address, place.interface
    if place.told_elsewhere:
        effect = "machines fetch their boot files by TFTP from there, and not from this host"
        log.warning("netboot_told_elsewhere", address=address, effect=effect, remedy=OWN_ADDRESS)
    if place.told_of_another:
        effect = f"what machines send to it by another interface than {interface} is not heard at port 4011"
        log.warning("netboot_told_of_another_interface", address=address, effect=effect, remedy=OWN_INTERFACE)
    if place.unnamed:
        log.info("netboot_interface_taken", interface=interface, address=address, remedy=ANOTHER_INTERFACE)


def _user(settings: Settings) -> User | None:
    """Whom to become; nobody else where we are no root."""
    if sys.platform != "linux":
        raise StartError("DHCP proxy and TFTP need Linux; run them there, or set --disable-dhcp-proxy")
    return user_named(settings.netboot_user) if os.geteuid() == 0 else None


def _sign(settings: Settings) -> Sign | None:
    """Our sign of life, opened while we may; none where there is no folder for it."""
    try:
        sign = Sign(settings, "netboot")
        sign.hold()
    except OSError as error:
        log.warning(
            "netboot_shows_no_sign",
            place=str(settings.state_dir),
            reason=error.strerror or str(error),
            effect="health checks of containers find no sign of life",
        )
        return None
    return sign


def _look(children: Sequence[Child], sign: Sign | None, ports: Ports, place: Place) -> None:
    """Done between looks at the children. Raises StartError: a child that is started again would hear nothing."""
    if any(map(is_interface_gone, ports.dhcp.values())):
        raise StartError(f"the interface {place.interface} was taken away; start netboot again once it is back")
    if all(child.runs for child in children):
        _show(sign)
    _bury_strangers({child.pid for child in children})


def _show(sign: Sign | None) -> None:
    if sign is not None:
        sign.show()


def _bury_strangers(own: set[int | None]) -> None:
    """As the first process of a container we inherit the transfers of a TFTP child that was killed."""
    with contextlib.suppress(ChildProcessError):
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is not None and ended.si_pid not in own:
            os.waitpid(ended.si_pid, 0)
