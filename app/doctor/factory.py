"""Whether the image factory takes schematics and has boot scripts of the Talos version that agents run.

The schematic asked for is the empty one. A factory knows each by its content, so asking again makes nothing new.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import urllib3

from app.boot.errors import BootError
from app.boot.schematic_request import SchematicRequest, proxied_pool, schematic_yaml, why_failed
from app.doctor.finding import Finding, failed, ok, warning
from app.doctor.site import Site
from app.machine.boot import Arch, BootSettings, FactoryBoot, Schematic
from app.machine.model import BootMode
from app.machine.script import factory_url
from app.startup import without_login
from config.settings import Settings

# As long as a boot may wait is too long for a person; a factory answers in less than a second.
ANSWER_TIMEOUT_S = 5.0
SLOW_S = 2.0
SCRIPT_BEGINS = b"#!ipxe"
MISSING = 404
READ_BYTES = 4096
REACH = "check {option}, and whether this host reaches it (a firewall, or a proxy: HTTPS_PROXY)"


def look(site: Site) -> Sequence[Finding]:
    """Ask both base URLs what a boot asks them."""
    settings = site.settings
    schematic_id, finding = _ask_schematic(settings.image_factory_base_url)
    return [finding, _ask_script(settings, schematic_id)]


def _ask_schematic(base_url: str) -> tuple[str, Finding]:
    began_s = time.monotonic()
    try:
        found = SchematicRequest(base_url, timeout_s=ANSWER_TIMEOUT_S)(schematic_yaml(Schematic()))
    except BootError as error:
        return "", failed(str(error), REACH.format(option="--image-factory-base-url"))
    return found, answered(f"{without_login(base_url)} takes schematics", time.monotonic() - began_s)


def answered(words: str, took_s: float) -> Finding:
    """What an answer means that was right and took so long."""
    if took_s > SLOW_S:
        return warning(
            f"{words}, but took {took_s:.1f} s to answer",
            "first boots of a kind wait for it; see to the way to the factory, or to the factory itself",
        )
    return ok(f"{words} ({took_s * 1000:.0f} ms)")


def _ask_script(settings: Settings, schematic_id: str) -> Finding:
    base, version = settings.image_factory_pxe_base_url, settings.agent_mode_talos_version
    url = script_url(settings, schematic_id) if schematic_id else base
    began_s = time.monotonic()
    try:
        response = proxied_pool(url).request(
            "GET",
            url,
            timeout=urllib3.Timeout(total=ANSWER_TIMEOUT_S),
            retries=urllib3.Retry(connect=0, read=0, redirect=3, status=0, other=0),
            preload_content=False,
        )
        try:
            begin = response.read1(READ_BYTES)
        finally:
            response.close()
    except urllib3.exceptions.HTTPError as error:
        words = f"{without_login(base)} did not answer: {why_failed(error)}"
        return failed(words, REACH.format(option="--image-factory-pxe-base-url"))
    took_s = time.monotonic() - began_s
    if not schematic_id:
        return ok(f"{without_login(base)} answers HTTP; without a schematic no boot script can be asked for")
    return script_finding(without_login(base), version, response.status, begin, took_s)


def script_url(settings: Settings, schematic_id: str) -> str:
    """Where the factory has the boot script of an agent. Raises ScriptRefused."""
    boot = FactoryBoot(
        machine_id="",
        mode=BootMode.AGENT_PXE,
        schematic=Schematic(),
        talos_version=settings.agent_mode_talos_version,
        arch=Arch.AMD64,
        secure_boot=settings.secure_boot_enabled,
    )
    base = settings.image_factory_pxe_base_url
    return factory_url(boot, schematic_id, BootSettings(api_advertise_address="", image_factory_pxe_base_url=base))


def script_finding(base: str, version: str, status: int, begin: bytes, took_s: float) -> Finding:
    """What the answer to a question for a boot script means. begin: the first bytes of it."""
    if begin.startswith(SCRIPT_BEGINS):
        return answered(f"{base} has boot scripts of Talos {version}", took_s)
    if status == MISSING:
        words = f"{base} has no boot script of Talos {version} (404)"
        remedy = "check --image-factory-pxe-base-url, and name a version in --agent-mode-talos-version that it has"
        return failed(words, remedy)
    words = f"{base} answers {status}, and no boot script"
    return failed(
        words, "check --image-factory-pxe-base-url: it must be the address of an image factory's boot scripts"
    )
