"""The files that firmware fetches: `/tftp/`, the same as TFTP serves, and `/assets/`, the local boot assets.

Both with HEAD, a Content-Length and single ranges. Boot files come from memory; assets have hundreds of megabytes and
go from disk to socket piece by piece.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import NoReturn

import structlog
from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound

from app.boot.ipxe.binaries import SERVED
from app.boot.ipxe.files import cleaned
from app.boot.regular_file import FileUnfit
from app.web.access import client_address
from app.web.downloads import Downloads, Pieces, Place
from app.web.services import Services
from config.web_threads import for_downloads

log = structlog.get_logger()

_BINARY = "application/octet-stream"
# What a client asks for is logged up to this length.
_LONGEST_SHOWN = 80


def blueprint(services: Services) -> Blueprint:
    """The routes of files; all are open."""
    routes = Blueprint("files", __name__)
    contents = services.boot_files.contents
    tags = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    told: set[str] = set()
    downloads = Downloads(for_downloads(services.settings))

    @routes.get("/tftp/<path:name>")
    def boot_file(name: str) -> Response:
        name = cleaned(name)
        if name not in contents:
            _no_boot_file(services, name, told)
        response = _answer(Response(contents[name], content_type=_BINARY), tags[name], len(contents[name]))
        if _sends(response):
            response.call_on_close(downloads.begin(client_address(request)).end)
        return response

    @routes.get("/assets/<path:name>")
    def asset(name: str) -> Response:
        return _asset(services, downloads, name)

    return routes


def _no_boot_file(services: Services, name: str, told: set[str]) -> NoReturn:
    lacking = services.boot_files.lacking
    if name in SERVED and lacking:
        if not told:
            told.add(name)
            log.error("ipxe_files_missing", file=name, address=client_address(request), reason=lacking)
        raise NotFound("the iPXE binaries are not here; the provider's log says what to do")
    raise NotFound("there is no such file")


def _asset(services: Services, downloads: Downloads, name: str) -> Response:
    if services.assets is None:
        raise NotFound("local boot assets are not served: there is no --use-local-boot-assets")
    try:
        file = services.assets.open(name)
    except FileUnfit as error:
        shown = "".join(c for c in name[:_LONGEST_SHOWN] if c.isprintable())
        log.warning("asset_not_served", file=shown, address=client_address(request), reason=str(error))
        raise NotFound("there is no such file") from None
    found = os.fstat(file.fileno())
    with contextlib.ExitStack() as closing:
        closing.callback(file.close)
        place = downloads.begin(client_address(request)) if request.method != "HEAD" else Place()
        closing.callback(place.end)
        response = Response(Pieces(file, place), content_type=_BINARY, direct_passthrough=True)
        tag = f"{found.st_mtime_ns:x}-{found.st_ino:x}-{found.st_size:x}"
        response = _answer(response, tag, found.st_size)
        if _sends(response):
            closing.pop_all()  # whoever sends the pieces closes it
        return response


def _sends(response: Response) -> bool:
    """Whether something of the file goes out."""
    return request.method != "HEAD" and response.status_code in (200, 206)


def _wants_part() -> bool:
    """Whether one range is asked for. For what is none, or many, the whole file is a proper answer, and all we have."""
    asked = request.range
    return asked is not None and asked.units == "bytes" and len(asked.ranges) == 1


def _answer(response: Response, tag: str, size_bytes: int) -> Response:
    """The file, or the range of it that was asked for."""
    response.content_length = size_bytes
    response.set_etag(tag)
    response.make_conditional(request, accept_ranges=_wants_part(), complete_length=size_bytes)
    response.headers["Accept-Ranges"] = "bytes"
    return response
