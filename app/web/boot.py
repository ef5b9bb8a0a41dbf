"""What firmware fetches: the iPXE scripts, and the machine configuration that Talos asks for.

Boots are answered from the mirror alone. Only a complete mirror may call a machine unknown, so until it is, they are
told to come again; iPXE does so by itself.
"""

from __future__ import annotations

from typing import NoReturn

import structlog
from flask import Blueprint, Response, request
from werkzeug.exceptions import Forbidden, ServiceUnavailable

from app.boot.errors import AssetsMissing, ConfigNotReady
from app.boot.inline import inline_config
from app.boot.join import machine_config
from app.machine import script
from app.machine.boot import BootRequest, DiskBoot, DiskMethod, FactoryBoot, HeldBack, LocalBoot, Refusal, boot_for
from app.machine.model import BootMode
from app.state.boots import Named
from app.state.metrics import CONFIG_REFUSED
from app.web.access import client_address
from app.web.answers import text
from app.web.machine_ids import is_machine_id, machine_id_of
from app.web.services import Services

log = structlog.get_logger()

Told = Refusal | DiskBoot | FactoryBoot | LocalBoot
# The mirror is built within seconds once Redis and Omni answer.
MIRROR_RETRY_AFTER_S = 5
# How boots count that start no machine: one that must not boot from the network, or the mirror is not complete.
REFUSED, HELD_BACK = "refused", "held-back"
# An image of the factory adds Talos' own arguments, some 300 bytes, to ours in the 2,048 that Linux keeps.
LONGEST_ARGUMENTS_BYTES = 1_700
# What a client sends is logged up to this length; a MAC as iPXE writes it has 17 characters.
_LONGEST_SHOWN, _LONGEST_MAC = 64, 20


def blueprint(services: Services) -> Blueprint:
    """The routes of firmware; all are open, `/config` by a rule of its own."""
    routes = Blueprint("boot", __name__)
    init_script = script.init_script(services.boot_settings)

    @routes.get("/ipxe/init.ipxe")
    def init() -> Response:
        return text(init_script)

    @routes.get("/ipxe/boot.ipxe")
    def boot() -> Response:
        return _boot(services)

    @routes.get("/config")
    def config() -> Response:
        return _config(services)

    return routes


def _boot(services: Services) -> Response:
    args = request.args
    asked = BootRequest(machine_id_of(args.get("uuid"), "uuid"), mac=args.get("mac", ""), arch=args.get("arch", ""))
    machine, complete = services.mirror.load_to_boot(asked.uuid)
    if not complete:
        _hold_back(services, asked.uuid, "the mirror of Omni is not complete yet: try again in a few seconds")
    inline, lacking = _inline_config(services)
    answer = boot_for(machine, asked, services.boot_settings, inline)
    if isinstance(answer, HeldBack):
        _hold_back(services, asked.uuid, lacking or answer.text)
    body, status = _told(services, answer)
    address = client_address(request)
    if request.method != "HEAD":
        named = Named(mac=_shown(args.get("mac", ""), _LONGEST_MAC), serial=_shown(args.get("serial", "")))
        if isinstance(answer, Refusal):
            services.boots.count(_mode(answer))
        else:
            services.boots.note(asked.uuid, address, _mode(answer), named)
        log.info(
            "boot_answered", machine_id=asked.uuid, mode=_mode(answer), status=status, mac=named.mac, address=address
        )
    return text(body, status)


def _hold_back(services: Services, machine_id: str, reason: str) -> NoReturn:
    if request.method != "HEAD":
        services.boots.count(HELD_BACK)
    log.warning("boot_held_back", machine_id=machine_id, reason=reason)
    raise ServiceUnavailable(reason, retry_after=MIRROR_RETRY_AFTER_S)


def _inline_config(services: Services) -> tuple[str | None, str]:
    """What `/config` serves as a kernel argument of TLS; where there is none, why."""
    if not services.settings.tls_enabled:
        return None, ""
    try:
        return inline_config(_machine_config(services)), ""
    except ConfigNotReady as error:
        return None, str(error)


def _machine_config(services: Services) -> str:
    return machine_config(services.mirror, [*services.trust.documents(), *services.extra.documents()])


def _shown(text: str, most: int = _LONGEST_SHOWN) -> str:
    """What firmware sent, as far as it is shown to people."""
    cut = text[:most]
    return cut if cut.isascii() and cut.isprintable() else "".join(c for c in cut if c.isascii() and c.isprintable())


def _told(services: Services, answer: Told) -> tuple[str, int]:
    """The body and the status that say this answer."""
    match answer:
        case Refusal():
            return f"{answer.text}\n", 404
        case DiskBoot():
            return script.disk_script(answer.method), 404 if answer.method is DiskMethod.HTTP_404 else 200
        case FactoryBoot():
            _look_at_length(answer, script.line_bytes((), answer.schematic.kernel_args), LONGEST_ARGUMENTS_BYTES)
            schematic_id = services.factory.schematic_id(answer.schematic)
            return script.factory_script(answer, schematic_id, services.boot_settings), 200
        case LocalBoot():
            return _local_script(services, answer), 200


def _local_script(services: Services, boot: LocalBoot) -> str:
    if services.assets is None:
        raise AssetsMissing("there is no folder of local boot assets: set --boot-assets-path")
    cmdline = services.assets.complete_cmdline(boot.arch)
    _look_at_length(boot, script.line_bytes(cmdline.split(), boot.kernel_args), script.LONGEST_LINE_BYTES)
    return script.local_script(boot, cmdline, services.boot_settings)


def _look_at_length(boot: FactoryBoot | LocalBoot, size_bytes: int, most_bytes: int) -> None:
    if size_bytes > most_bytes:
        log.warning(
            "kernel_arguments_long",
            machine_id=boot.machine_id,
            size_bytes=size_bytes,
            effect="Linux cuts off what is beyond 2,048 bytes, those of Talos itself included",
            remedy="fewer extra_kernel_args, or a shorter line of a local image; with TLS a CA with an Ed25519 or "
            "ECDSA key, or fewer documents",
        )


def _mode(answer: Told) -> str:
    match answer:
        case Refusal():
            return REFUSED
        case DiskBoot():
            return BootMode.TALOS_DISK.value
        case FactoryBoot() | LocalBoot():
            return answer.mode.value


def _config(services: Services) -> Response:
    machine_id = _shown(request.args.get("u", "").lower())
    if not services.settings.config_open:
        _check_window(services, machine_id)
    body = _machine_config(services)
    log.info("config_served", machine_id=machine_id, address=client_address(request))
    return text(body, content_type="application/yaml")


def _check_window(services: Services, machine_id: str) -> None:
    """The configuration holds the token with which a machine joins: only a machine that just booted may have it."""
    address = client_address(request)
    match_address = services.settings.config_match_address
    if is_machine_id(machine_id) and services.boots.config_allowed(machine_id, address, match_address=match_address):
        return
    refused = services.redis.incr(CONFIG_REFUSED)
    log.warning("config_refused", machine_id=machine_id, address=address, refused_so_far=refused)
    raise Forbidden("the configuration is only served to a machine that fetched a boot script in the last 30 minutes")
