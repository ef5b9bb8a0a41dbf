"""The pages: who gets them, what stands in them, and what their forms do."""

import html
import re
from dataclasses import replace

import pytest
import redis

from app.machine.model import Meta
from app.omni import errors
from app.state.bmc_notes import BmcFound, BmcTrouble
from app.state.facts import RefusedTunnel
from app.state.history import HistoryEntry
from app.web.session import COOKIE
from tests.unit.web.stand_ins import API_TOKEN, MACHINE_ID, NODE_TOKEN, OTHER_ID, PASSWORD, picture
from workers.enqueue import OrderResult, QueueUnavailable

HOSTILE = "<script>alert(1)</script>"
MACHINE = f"/machines/{MACHINE_ID}"


@pytest.fixture(autouse=True)
def tries(monkeypatch):
    """How often each address has tried to log in."""
    counted = {}

    def may_try(_, address):
        counted[address] = counted.get(address, 0) + 1
        return counted[address] <= 10

    monkeypatch.setattr("app.web.pages.routes.may_try", may_try)
    return counted


@pytest.fixture(autouse=True)
def health(monkeypatch, request):
    monkeypatch.setattr("app.web.pages.routes.read_health", lambda _: request.getfixturevalue("site").health)


@pytest.fixture(autouse=True)
def orders(site, monkeypatch):
    """Orders end as the site says, and stand in `site.ordered`."""

    def order(_settings, _client, machine_id, verb, by):
        site.ordered.append((machine_id, verb.value, by))
        if isinstance(site.order_answer, Exception):
            raise site.order_answer
        return site.order_answer

    monkeypatch.setattr("app.web.pages.routes.order", order)


@pytest.fixture
def guarded(make_site):
    made = make_site(api_token=API_TOKEN)
    made.mirror.machines[MACHINE_ID] = picture()
    return made


def post(site, path, form=None, **headers):
    return site.client.post(
        path,
        data=form or {},
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        environ_base={"REMOTE_ADDR": site.peer},
    )


def form_token(page):
    return re.search(r'name="form" value="(\w+)"', page.text)[1]


def log_in(site, token=API_TOKEN, onward=""):
    return post(site, "/login", {"token": token, "next": onward})


# Who gets them


def test_page_without_login_leads_to_the_login_and_back(guarded):
    answer = guarded.get(f"{MACHINE}?x=1")
    assert answer.status_code == 303 and answer.headers["Location"] == (
        f"/login?next=%2Fmachines%2F{MACHINE_ID}%3Fx%3D1"
    )
    assert guarded.get(answer.headers["Location"]).status_code == 200
    answer = log_in(guarded, onward=f"{MACHINE}?x=1")
    assert answer.status_code == 303 and answer.headers["Location"] == f"{MACHINE}?x=1"
    assert guarded.get(MACHINE).status_code == 200


def test_login_gives_a_cookie_that_scripts_and_other_sites_do_not_get(guarded):
    cookie = log_in(guarded).headers["Set-Cookie"]
    assert cookie.startswith(COOKIE) and "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert API_TOKEN not in cookie


@pytest.mark.parametrize("token", ["", "wrong", API_TOKEN.upper(), API_TOKEN + " "])
def test_wrong_token_gets_nothing(guarded, token):
    answer = log_in(guarded, token)
    assert answer.status_code == 403 and "Set-Cookie" not in answer.headers
    assert "not the token" in answer.text and (not token or token not in answer.text)
    assert guarded.get("/").status_code == 303


def test_guessing_is_stopped_after_ten_tries_though_the_next_is_right(guarded):
    assert [log_in(guarded, "wrong").status_code for _ in range(10)] == [403] * 10
    answer = log_in(guarded)
    assert answer.status_code == 429 and answer.headers["Retry-After"] == "60"


@pytest.mark.parametrize(
    "onward", ["https://evil.example/", "//evil.example", "/\\evil", "/api/v1/machines", "login", "/login", "/logout"]
)
def test_login_leads_nowhere_else(guarded, onward):
    assert log_in(guarded, onward=onward).headers["Location"] == "/"


def test_session_counts_for_the_pages_alone(guarded):
    log_in(guarded)
    assert guarded.get("/").status_code == 200
    assert guarded.get("/api/v1/machines").status_code == 401
    assert guarded.ask("POST", f"/api/v1/machines/{MACHINE_ID}/wipe").status_code == 401
    assert guarded.get("/metrics").status_code == 401


def test_bearer_token_gets_pages_too(guarded):
    assert guarded.get("/", Authorization=f"Bearer {API_TOKEN}").status_code == 200


def test_logout_ends_the_session(guarded):
    log_in(guarded)
    token = form_token(guarded.get("/"))
    answer = post(guarded, "/logout", {"form": token})
    assert answer.status_code == 303 and answer.headers["Location"] == "/login"
    assert guarded.get("/").status_code == 303


def test_without_a_token_only_this_machine_gets_pages(site):
    assert site.get("/").status_code == 200
    assert site.get("/", address="192.0.2.1").status_code == 403
    assert site.get("/login").headers["Location"] == "/"


def test_pages_load_nothing_from_elsewhere(site):
    answer = site.get("/")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', answer.text) and "style=" not in answer.text
    for name in ("pages.css", "refresh.js", "icon.svg"):
        with site.get(f"/static/{name}", address="192.0.2.1") as answer:
            assert answer.status_code == 200 and answer.data


# What stands in them


def test_hostile_text_is_only_ever_text(site):
    site.views.extras[MACHINE_ID] = {"serial": HOSTILE, "sentence": HOSTILE}
    site.history.entries[MACHINE_ID] = [HistoryEntry("wipe", "", HOSTILE, 1, 2, "failed", HOSTILE, 1)]
    labels = {HOSTILE: HOSTILE}
    machine = site.mirror.machines[MACHINE_ID]
    wish = replace(machine.infra_machine, meta=Meta(id=MACHINE_ID, labels=labels), extra_kernel_args=HOSTILE)
    site.mirror.machines[MACHINE_ID] = replace(machine, infra_machine=wish)
    for path in ("/", MACHINE, f"/?q={HOSTILE}&phase={HOSTILE}", f"{MACHINE}?said={HOSTILE}"):
        assert HOSTILE not in site.get(path).text
    assert "&lt;script&gt;" in site.get(MACHINE).text


def test_second_tunnel_that_was_refused_stands_on_the_page_of_its_machine(site):
    assert "second tunnel" not in site.get(f"/machines/{MACHINE_ID}").text
    site.views.extras[MACHINE_ID] = {"refused_tunnel": RefusedTunnel(1_700_000_000_000, "192.0.2.66")}
    page = site.get(f"/machines/{MACHINE_ID}").text
    assert "A second tunnel from 192.0.2.66 was refused at 2023-11-14 22:13:20 UTC" in page


def test_reboot_whose_worker_died_stands_on_the_page_of_its_machine(site):
    assert "worker died" not in site.get(f"/machines/{MACHINE_ID}").text
    site.views.extras[MACHINE_ID] = {"unended_reboot": "It was begun, and its worker died."}
    assert "its worker died" in site.get(f"/machines/{MACHINE_ID}").text


def test_bmc_stands_on_the_page_of_its_machine_with_what_it_is_and_what_goes_wrong(site):
    site.views.extras[MACHINE_ID] = {
        "bmc_found": BmcFound("redfish", vendor="Wiwynn", doubt="2 Systems, none with its UUID", found_ms=1),
        "bmc_trouble": BmcTrouble(1, False, "<no answer>", "BmcUnreachable", "Check"),
    }
    page = site.get(f"/machines/{MACHINE_ID}").text
    assert "(redfish)" in page and "Wiwynn, seen" in page and "2 Systems, none with its UUID" in page
    assert "BmcUnreachable for" in page and "&lt;no answer&gt;. Check. Asked again" in page


def test_no_secret_stands_in_a_page(site):
    for path in ("/", MACHINE):
        text = site.get(path).text
        assert PASSWORD not in text and NODE_TOKEN not in text


def test_fleet_is_filtered_by_phase_and_searched(site):
    site.mirror.machines[OTHER_ID] = picture(OTHER_ID)
    site.views.extras[OTHER_ID] = {"phase": "parked", "serial": "SN42"}
    assert site.get("/").text.index(OTHER_ID) < site.get("/").text.index(MACHINE_ID)  # parked first
    parked = site.get("/?phase=parked").text
    assert OTHER_ID in parked and MACHINE_ID not in parked
    found = site.get("/?q=sn42").text
    assert OTHER_ID in found and MACHINE_ID not in found
    assert "No machine is like that" in site.get("/?q=nothing").text


def test_large_fleet_is_shown_page_by_page(site):
    for number in range(450):
        machine_id = f"00000000-0000-0000-0000-{number:012d}"
        site.mirror.machines[machine_id] = picture(machine_id)
    first, third = site.get("/").text, site.get("/?page=3").text
    assert first.count("<tr>") == 201 and "page 1 of 3" in first
    assert third.count("<tr>") == 52 and 'rel="next"' not in third
    assert "page 3 of 3" in site.get("/?page=99").text
    assert "page 1 of 3" in site.get("/?page=x").text


def test_trouble_of_the_site_stands_above_everything(site):
    site.health = replace(site.health, watcher_alive=False)
    assert "No watcher is running" in site.get("/").text
    site.health = replace(
        site.health, watcher_alive=True, problem="Omni refuses <it>", code="key-refused", remedy="Renew the key."
    )
    page = site.get("/").text
    assert "<strong>Omni:</strong> Omni refuses &lt;it&gt;<br>Renew the key. <code>key-refused</code>" in page
    site.health = replace(site.health, problem="Redis does not answer", code="redis-unreachable")
    assert "<strong>Redis:</strong> Redis does not answer" in site.get("/").text
    site.health = replace(site.health, problem="", code="", gateways=0)
    assert "No agent gateway is alive" in site.get("/").text


@pytest.mark.parametrize(
    "trouble",
    [errors.NotAuthenticated, errors.EulaNotAccepted, errors.NotRegistered, errors.RoleInsufficient, errors.ClockWrong],
)
def test_each_refusal_of_the_account_stands_above_everything_with_its_remedy(site, trouble):
    site.health = replace(site.health, problem="as Omni says it", code=trouble.code, remedy=trouble.hint)
    page = html.unescape(site.get("/").text)
    assert f"as Omni says it<br>{trouble.hint} <code>{trouble.code}</code>" in page


def test_machine_that_nobody_knows_is_told_in_a_page(site):
    answer = site.get(f"/machines/{OTHER_ID}")
    assert answer.status_code == 404 and "There is no such machine" in answer.text and "<html" in answer.text
    assert site.get("/machines/x").status_code == 404


def test_machine_is_not_called_unknown_before_the_mirror_is_complete(site):
    site.mirror.is_complete = False
    answer = site.get(f"/machines/{OTHER_ID}")
    assert answer.status_code == 503 and "mirror of Omni is not complete" in answer.text and "<html" in answer.text


def test_redis_that_is_away_is_told_in_a_page(site, monkeypatch):
    def away(_):
        raise redis.ConnectionError("refused")

    monkeypatch.setattr("app.web.pages.routes.read_health", away)
    answer = site.get("/")
    assert answer.status_code == 503 and "Redis does not answer" in answer.text and "<html" in answer.text


def test_refused_orders_are_shown_with_the_reason(site):
    text = site.get(MACHINE).text
    assert "Omni does not want it wiped" in text
    assert re.search(r'<button disabled aria-describedby="why-wipe">', text)


def test_refusals_for_one_reason_are_told_together(site):
    site.mirror.machines[MACHINE_ID] = picture(cordoned=True)
    text = site.get(MACHINE).text
    listed = text[text.index('id="orders"') : text.index('id="failed"')]
    assert listed.count("<button disabled") == 8 and listed.count('class="why"') < 5
    assert set(re.findall(r'describedby="([\w-]+)"', listed)) == set(re.findall(r'id="(why-[\w-]+)"', listed))


# What their forms do


def test_order_is_given_and_the_answer_says_what_came_of_it(site):
    token = form_token(site.get(MACHINE))
    answer = post(site, f"{MACHINE}/reboot", {"form": token})
    assert answer.status_code == 303
    assert site.ordered == [(MACHINE_ID, "reboot", "page 127.0.0.1")]
    assert "Started: wipe." in site.get(answer.headers["Location"]).text


def test_order_that_starts_nothing_says_why(site):
    site.order_answer = OrderResult((), "wipe runs now")
    token = form_token(site.get(MACHINE))
    answer = post(site, f"{MACHINE}/retry", {"form": token})
    assert "Nothing was started: wipe runs now" in site.get(answer.headers["Location"]).text


def test_retry_that_has_the_bmc_asked_again_is_done(site):
    site.order_answer = OrderResult((), "its BMC is asked again", asks_again=True)
    answer = post(site, f"{MACHINE}/retry", {"form": form_token(site.get(MACHINE))})
    assert "Done: its BMC is asked again." in site.get(answer.headers["Location"]).text


@pytest.mark.parametrize("verb", ["wipe", "record-wipe"])
def test_wipe_that_is_not_confirmed_is_not_ordered(site, verb):
    token = form_token(site.get(MACHINE))
    answer = post(site, f"{MACHINE}/{verb}", {"form": token})
    assert site.ordered == []
    assert "has to be confirmed" in site.get(answer.headers["Location"]).text
    post(site, f"{MACHINE}/{verb}", {"form": token, "confirm": "yes"})
    assert [verb for _, verb, _ in site.ordered] == [verb]


@pytest.mark.parametrize("form", [{}, {"form": ""}, {"form": "0" * 64}])
def test_form_from_nowhere_is_refused(site, form):
    site.get(MACHINE)
    assert post(site, f"{MACHINE}/retry", form).status_code == 403
    assert site.ordered == []


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec_Fetch_Site": "cross-site"}, {"Origin": "null"}]
)
def test_form_that_another_site_sends_is_refused(site, guarded, headers):
    token = form_token(site.get(MACHINE))
    assert post(site, f"{MACHINE}/retry", {"form": token}, **headers).status_code == 403
    log_in(guarded)
    token = form_token(guarded.get(MACHINE))
    assert post(guarded, f"{MACHINE}/retry", {"form": token}, **headers).status_code == 403
    assert site.ordered == [] and guarded.ordered == []


def test_form_of_another_session_is_refused(guarded):
    log_in(guarded)
    token = form_token(guarded.get(MACHINE))
    log_in(guarded)
    assert post(guarded, f"{MACHINE}/retry", {"form": token}).status_code == 403


def test_order_without_login_is_not_given_and_leads_to_the_machine(guarded):
    answer = post(guarded, f"{MACHINE}/retry", {"form": "0" * 64})
    assert answer.status_code == 303 and answer.headers["Location"] == f"/login?next=%2Fmachines%2F{MACHINE_ID}"
    assert guarded.ordered == []


def test_order_with_a_wrong_bearer_token_is_refused(guarded):
    assert post(guarded, f"{MACHINE}/retry", Authorization="Bearer wrong").status_code == 401
    assert guarded.ordered == []


def test_verb_that_does_not_exist_is_not_found(site):
    token = form_token(site.get(MACHINE))
    assert post(site, f"{MACHINE}/explode", {"form": token}).status_code == 404


def test_queue_that_does_not_answer_is_told(site):
    site.order_answer = QueueUnavailable("x")
    token = form_token(site.get(MACHINE))
    answer = post(site, f"{MACHINE}/retry", {"form": token})
    assert answer.status_code == 503 and "queue does not answer" in answer.text
