"""The routes of the pages. Orders are posted as forms; the answer leads back to the machine, with what came of it."""

from __future__ import annotations

import time
from collections import Counter
from itertools import groupby
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import structlog
from flask import Blueprint, Response, make_response, redirect, render_template, request
from werkzeug.exceptions import Forbidden, NotFound, ServiceUnavailable, TooManyRequests
from werkzeug.wrappers import Response as AnyResponse

from app.machine.verbs import Verb
from app.state.health import health as read_health
from app.state.view import PHASES, MachineView, offered
from app.web import access, power
from app.web.known import known
from app.web.logins import may_try
from app.web.pages import words
from app.web.pages.headers import HEADERS
from app.web.search import labels, matches
from app.web.services import Services
from app.web.session import COOKIE, LIFE_S, Sessions
from workers.enqueue import QueueUnavailable, order

log = structlog.get_logger()

ROWS_A_PAGE: Final = 200
SEE_OTHER: Final = 303
# What takes more than one press of a button: it cannot be undone.
CONFIRMED: Final = (Verb.WIPE, Verb.WIPE_RECORD)
LABELS: Final = {
    Verb.RETRY: "Try again now",
    Verb.WIPE: "Wipe",
    Verb.REBOOT: "Reboot",
    Verb.POWER_ON: "Power on",
    Verb.POWER_OFF: "Power off",
    Verb.PXE_ARM: "Boot from network once",
    Verb.ADOPT_RECORD: "Record: keep the disks",
    Verb.WIPE_RECORD: "Record: wipe the disks",
    Verb.BMC_TEST: "Test the BMC",
    Verb.BMC_PROBE: "Ask anew what the BMC is",
}


def blueprint(services: Services, sessions: Sessions) -> Blueprint:
    """All pages. Who may ask is decided before (see `access`)."""
    routes = Blueprint("pages", __name__)

    @routes.get("/")
    def fleet() -> Response:
        return _answer(services, sessions, "fleet.html", **_fleet(services))

    @routes.get("/machines/<machine_id>")
    def machine(machine_id: str) -> Response:
        view = known(services, machine_id)
        said = sessions.open_words(_session(), request.args.get("said", ""))
        return _answer(services, sessions, "machine.html", said=said, **_machine(services, view))

    @routes.post("/machines/<machine_id>/<verb>")
    def ordered(machine_id: str, verb: str) -> AnyResponse:
        _check_form(sessions)
        view = known(services, machine_id)
        said = _order(services, view.machine.id, _verb(verb))
        query = urlencode({"said": sessions.seal_words(_session(), said)})
        return redirect(f"/machines/{view.machine.id}?{query}", SEE_OTHER)

    @routes.get("/login")
    def login() -> AnyResponse:
        if not services.settings.api_token:
            return redirect("/", SEE_OTHER)
        return _answer(services, sessions, "login.html", next=_local(request.args.get("next", "")), wrong=False)

    @routes.post("/login")
    def logged_in() -> AnyResponse:
        return _log_in(services, sessions)

    @routes.post("/logout")
    def logout() -> AnyResponse:
        _check_form(sessions)
        answer = redirect(access.LOGIN, SEE_OTHER)
        answer.delete_cookie(COOKIE, httponly=True, samesite="Strict")
        return answer

    return routes


def _fleet(services: Services) -> dict[str, Any]:
    phase, text = request.args.get("phase", ""), request.args.get("q", "")
    everything = services.views.all()
    counts = Counter(view.phase for view in everything)
    found = [view for view in everything if matches(view, phase, text)]
    found.sort(key=lambda view: (PHASES.index(view.phase), view.machine.id))
    pages = max(1, -(-len(found) // ROWS_A_PAGE))
    page = min(pages, max(1, request.args.get("page", 1, type=int)))
    rows = [words.row(view) for view in found[(page - 1) * ROWS_A_PAGE : page * ROWS_A_PAGE]]
    return {
        "phases": [(name, counts[name]) for name in PHASES],
        "total": len(everything),
        "found": len(found),
        "rows": rows,
        "phase": phase,
        "q": text,
        "page": page,
        "pages": pages,
        "link": lambda **changes: "/?" + urlencode({"phase": phase, "q": text} | changes),
    }


def _machine(services: Services, view: MachineView) -> dict[str, Any]:
    return {
        "view": view,
        "machine": view.machine,
        "row": words.row(view),
        "labels": sorted(labels(view.machine).items()),
        "offered": [(refusal, list(alike)) for refusal, alike in groupby(offered(view), lambda offer: offer.refusal)],
        "orders": LABELS,
        "confirmed": CONFIRMED,
        "history": services.history.read(view.machine.id),
        "words": words,
        "told": power,
    }


def _order(services: Services, machine_id: str, verb: Verb) -> str:
    """Order it; the answer says what came of it."""
    if verb in CONFIRMED and request.form.get("confirm") != "yes":
        return f"Nothing was started: {LABELS[verb].lower()} has to be confirmed by its checkbox."
    by = f"page {access.client_address(request) or 'unknown address'}"
    try:
        result = order(services.settings, services.redis, machine_id, verb, by)
    except QueueUnavailable:
        raise ServiceUnavailable("the queue does not answer: try again in a few seconds", retry_after=5) from None
    if result.started:
        return f"Started: {', '.join(result.started)}."
    return f"Done: {result.skipped}." if result.asks_again else f"Nothing was started: {result.skipped}"


def _verb(text: str) -> Verb:
    try:
        return Verb(text)
    except ValueError:
        raise NotFound("there is nothing of this name to order") from None


def _log_in(services: Services, sessions: Sessions) -> AnyResponse:
    token, address = services.settings.api_token, access.client_address(request) or "unknown"
    if not may_try(services.redis, address):
        raise TooManyRequests("too many tries from this address: wait a minute", retry_after=60)
    onward = _local(request.form.get("next", ""))
    if not token or not access.same_token(request.form.get("token", ""), token):
        log.warning("login_refused", address=address)
        refused = _answer(services, sessions, "login.html", next=onward, wrong=True)
        refused.status_code = 403
        return refused
    log.info("logged_in", address=address)
    answer = redirect(onward, SEE_OTHER)
    _give_session(answer, sessions.begin(time.time()))
    return answer


def _local(path: str) -> str:
    """A path on this site, or the fleet."""
    parts = urlsplit(path)
    here = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.netloc and not parts.scheme
    return path if here and access.is_view(parts.path) else "/"


def _check_form(sessions: Sessions) -> None:
    """A form counts only with the token that stood in it when it was fetched."""
    if not sessions.form_valid(_session(), request.form.get("form", "")):
        raise Forbidden("this form is not of this session: go back, reload the page and try again")


def _session() -> str:
    return request.cookies.get(COOKIE, "")


def _give_session(answer: AnyResponse, session: str) -> None:
    answer.set_cookie(COOKIE, session, LIFE_S, httponly=True, samesite="Strict", secure=request.is_secure)


def _answer(services: Services, sessions: Sessions, template: str, **values: Any) -> Response:
    """A page, with its session if this is its first one on a machine that needs no login."""
    session, new = _session(), False
    if not services.settings.api_token and not sessions.valid(session, time.time()):
        session, new = sessions.begin(time.time()), True
    page = render_template(
        template,
        form=sessions.form_token(session),
        flower_url=services.settings.flower_url.rstrip("/"),
        parts=words.parts,
        needs_login=bool(services.settings.api_token),
        provider=services.settings.id,
        health=read_health(services.redis) if template != "login.html" else None,
        **values,
    )
    answer = make_response(page)
    answer.headers.update(HEADERS)
    if new:
        _give_session(answer, session)
    return answer
