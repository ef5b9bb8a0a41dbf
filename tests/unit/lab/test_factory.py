import asyncio
import json

import pytest

from lab.factory import ImageFactory
from lab.http import Request

SCHEMATIC = b"""
customization:
  extraKernelArgs: [talos.config=http://p/config, console=tty0]
  systemExtensions:
    officialExtensions: [siderolabs/metal-agent]
"""


def ask(factory, method, path, body=b""):
    return asyncio.run(factory.handle(Request(method, path, headers={"host": "factory:1"}, body=body)))


def post(factory, body=SCHEMATIC):
    answer = ask(factory, "POST", "/schematics", body)
    assert answer.status == 201
    return json.loads(answer.body)["id"]


def test_schematic_gets_an_id_that_depends_on_its_content_alone():
    factory = ImageFactory()

    first = post(factory)
    other_text = SCHEMATIC.replace(b"[siderolabs/metal-agent]", b"\n    - siderolabs/metal-agent")
    other = post(factory, b"customization: {extraKernelArgs: [x]}")

    assert len(first) == 64
    assert int(first, 16)
    assert post(factory, other_text) == first != other
    assert ask(factory, "GET", f"/schematics/{first}").status == 200
    assert factory.calls["POST /schematics"] == 3


@pytest.mark.parametrize("body", [b"{", b"[]", b"customization: {extraKernelArgs: [1]}", b"customization: 1"])
def test_what_is_no_schematic_is_refused(body):
    factory = ImageFactory()

    assert ask(factory, "POST", "/schematics", body).status == 400
    assert factory.schematics == {}


@pytest.mark.parametrize("platform", ["metal-amd64", "metal-arm64", "metal-amd64-secureboot"])
def test_boot_script_of_a_schematic_holds_its_arguments_and_its_images(platform):
    factory = ImageFactory()
    schematic_id = post(factory)

    script = ask(factory, "GET", f"/pxe/{schematic_id}/v1.13.7/{platform}").body.decode()

    arch = platform.split("-")[1]
    base = f"http://factory:1/image/{schematic_id}/v1.13.7"
    assert script.splitlines() == [
        "#!ipxe",
        "imgfree",
        f"kernel {base}/kernel-{arch} talos.platform=metal talos.config=http://p/config console=tty0",
        f"initrd {base}/initramfs-{arch}.xz",
        "boot",
    ]


def test_image_says_what_is_in_it():
    factory = ImageFactory()
    schematic_id = post(factory)

    image = ask(factory, "GET", f"/image/{schematic_id}/v1.13.7/initramfs-amd64.xz")

    assert json.loads(image.body) == {"talos_version": "v1.13.7", "extensions": ["siderolabs/metal-agent"]}


def test_real_images_are_served_under_their_names():
    factory = ImageFactory(images={"kernel-amd64": b"a kernel"})
    base = f"/image/{post(factory)}/v1.13.7"

    assert ask(factory, "GET", f"{base}/kernel-amd64").body == b"a kernel"
    assert json.loads(ask(factory, "GET", f"{base}/initramfs-amd64.xz").body)["talos_version"] == "v1.13.7"


@pytest.mark.parametrize(
    "path", ["/schematics/00", "/pxe/00/v1/metal-amd64", "/pxe/{id}/v1/cloud-amd64", "/image/00/v1/k"]
)
def test_unknown_schematics_and_platforms_are_not_found(path):
    factory = ImageFactory()

    assert ask(factory, "GET", path.replace("{id}", post(factory))).status == 404


def test_factory_out_of_order_refuses_everything():
    factory = ImageFactory()
    factory.out_of_order = True

    assert ask(factory, "POST", "/schematics", SCHEMATIC).status == 503
