"""The image factory's stand-in: takes schematics, and answers the boot script and the images of one.

An image holds what the real one would bring to the machine: its Talos version and its extensions, as JSON, so that a
virtual machine runs what it was given and nothing else. Machines that run real code are given real images.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from lab.http import HttpServer, Request, Response

ARCHITECTURES = ("amd64", "arm64")


class SchematicError(Exception):
    """The body of a POST is no schematic."""


@dataclass(frozen=True, slots=True)
class Schematic:
    """What an image is made of."""

    kernel_args: tuple[str, ...]
    extensions: tuple[str, ...]
    text: bytes

    @classmethod
    def parse(cls, text: bytes) -> Schematic:
        """Read the YAML of a schematic.

        Raises:
            SchematicError: it is no YAML, or not of this shape.
        """
        try:
            document = yaml.safe_load(text)
            document = {} if document is None else document
            customization = document.get("customization") or {}
            extensions = (customization.get("systemExtensions") or {}).get("officialExtensions") or ()
            return cls(_texts(customization.get("extraKernelArgs") or ()), _texts(extensions), text)
        except (yaml.YAMLError, AttributeError, TypeError) as error:
            raise SchematicError(f"not a schematic: {error}") from error


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list | tuple) or not all(isinstance(v, str) for v in values):
        raise TypeError("a list of texts was expected")
    return tuple(values)


class ImageFactory:
    """The stand-in.

    schematics: everything that was posted, by id.
    calls: how often each kind of request came.
    delay_s: how long a POST takes.
    out_of_order: answer 503 to everything.
    images: what is served under a name of an image, such as `kernel-amd64`, in place of JSON.
    """

    def __init__(self, delay_s: float = 0.0, images: Mapping[str, bytes] | None = None) -> None:
        self.schematics: dict[str, Schematic] = {}
        self.calls: Counter[str] = Counter()
        self.delay_s = delay_s
        self.out_of_order = False
        self._images = dict(images or {})
        self.url = ""
        self._server = HttpServer(self.handle)

    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; returns the port."""
        bound = await self._server.serve(host, port)
        self.url = f"http://{host}:{bound}"
        return bound

    async def stop(self) -> None:
        """Stop listening."""
        await self._server.stop()

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        match (request.method, request.path.strip("/").split("/")):
            case _ if self.out_of_order:
                self.calls["refused"] += 1
                return Response.text("out of order\n", 503)
            case ("POST", ["schematics"]):
                return await self._post(request)
            case ("GET", ["schematics", schematic_id]) if schematic_id in self.schematics:
                self.calls["GET /schematics"] += 1
                return Response(body=self.schematics[schematic_id].text, content_type="application/yaml")
            case ("GET", ["pxe", schematic_id, version, platform]):
                return self._script(request, schematic_id, version, platform)
            case ("GET", ["image", schematic_id, version, name]) if schematic_id in self.schematics:
                return self._image(self.schematics[schematic_id], version, name)
        return Response.text("not found\n", 404)

    async def _post(self, request: Request) -> Response:
        self.calls["POST /schematics"] += 1
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        try:
            schematic = Schematic.parse(request.body)
        except SchematicError as error:
            return Response.text(f"{error}\n", 400)
        content = json.dumps([schematic.kernel_args, schematic.extensions]).encode()
        schematic_id = hashlib.sha256(content).hexdigest()
        self.schematics[schematic_id] = schematic
        return Response(201, json.dumps({"id": schematic_id}).encode(), "application/json")

    def _script(self, request: Request, schematic_id: str, version: str, platform: str) -> Response:
        self.calls["GET /pxe"] += 1
        metal, _, arch = platform.removesuffix("-secureboot").partition("-")
        schematic = self.schematics.get(schematic_id)
        if schematic is None or metal != "metal" or arch not in ARCHITECTURES:
            return Response.text("not found\n", 404)
        base = f"http://{request.headers.get('host', '')}/image/{schematic_id}/{version}"
        arguments = " ".join(("talos.platform=metal", *schematic.kernel_args))
        return Response.text(
            f"#!ipxe\nimgfree\nkernel {base}/kernel-{arch} {arguments}\ninitrd {base}/initramfs-{arch}.xz\nboot\n",
        )

    def _image(self, schematic: Schematic, version: str, name: str) -> Response:
        self.calls["GET /image"] += 1
        told = json.dumps({"talos_version": version, "extensions": schematic.extensions}).encode()
        return Response(body=self._images.get(name, told), content_type="application/octet-stream")
