import asyncio
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from lab.fetch import Fetched, FetchError
from lab.firmware import Identity, LocalDisk, NetbootError, TalosImage, netboot

MACHINE = Identity("6d657461-6c00-4000-8000-000000000001", "02:00:00:00:00:01", "LAB0001")
BOOT = "#!ipxe\nkernel http://factory/k {arguments}\ninitrd http://factory/i\nboot\n"
AGENT = "talos.config=http://p:1/config?u=${uuid} metal.provider.address=10.0.0.1:50042"


def boot(answers):
    asked = []

    async def fetch(url):
        asked.append(url)
        answer = answers[urlsplit(url).path]
        if isinstance(answer, Exception):
            raise answer
        status, body = answer
        return Fetched(url, status, body.encode())

    return asyncio.run(netboot("http://provider", MACHINE, fetch)), asked


def answers(script, extensions=()):
    image = json.dumps({"talos_version": "v1.13.7", "extensions": extensions})
    return {"/ipxe/boot.ipxe": (200, script), "/k": (200, image), "/i": (200, image)}


def test_boot_request_tells_who_the_machine_is():
    _, asked = boot(answers("#!ipxe\nexit\n"))

    query = parse_qs(urlsplit(asked[0]).query, keep_blank_values=True)
    assert query == {
        "uuid": [MACHINE.machine_id],
        "mac": ["02-00-00-00-00-01"],
        "domain": [""],
        "hostname": [""],
        "serial": ["LAB0001"],
        "arch": ["x86_64"],
    }


def test_image_with_agent_and_its_arguments_is_an_agent():
    image, _ = boot(answers(BOOT.format(arguments=AGENT), ["siderolabs/metal-agent"]))

    assert isinstance(image, TalosImage)
    assert image.is_agent
    assert not image.half_an_agent
    assert image.argument("talos.config") == f"http://p:1/config?u={MACHINE.machine_id}"
    assert image.talos_version == "v1.13.7"


@pytest.mark.parametrize(("arguments", "extensions"), [(AGENT, []), ("console=tty0", ["siderolabs/metal-agent"])])
def test_image_with_half_an_agent_is_a_plain_talos_and_says_so(arguments, extensions):
    image, _ = boot(answers(BOOT.format(arguments=arguments), extensions))

    assert not image.is_agent
    assert image.half_an_agent


@pytest.mark.parametrize("script", ["#!ipxe\nexit\n", "#!ipxe\nsanboot --no-describe --drive 0x80\n"])
def test_script_for_the_disk_leads_to_the_disk(script):
    outcome, _ = boot(answers(script))

    assert isinstance(outcome, LocalDisk)


def test_404_leads_to_the_disk_with_the_words_of_the_answer():
    outcome, _ = boot({"/ipxe/boot.ipxe": (404, "machine is cordoned")})

    assert outcome == LocalDisk("HTTP 404: machine is cordoned")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((503, "the mirror is not complete"), "HTTP 503: the mirror"),
        ((200, "#!ipxe\nkernel http://factory/no\n"), "no"),
        (FetchError("connection refused"), "connection refused"),
    ],
)
def test_refusal_or_failing_script_is_a_failed_network_boot(answer, words):
    with pytest.raises(NetbootError, match=words):
        boot({"/ipxe/boot.ipxe": answer, "/no": (500, "")})
