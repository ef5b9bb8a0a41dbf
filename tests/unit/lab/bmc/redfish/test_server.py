import asyncio

import pytest

from lab.bmc.chassis import Button
from lab.bmc.dice import Dice, Fault, Odds
from tests.unit.lab.bmc.redfish.asking import RESET, SESSIONS, SYSTEM, basic, play


def always(fault, **more):
    return Dice(Odds.parse(f"{fault.value}=1"), **more)


async def paths(asking, path, seen):
    """All resources that links lead to."""
    answer = await asking.get(path)
    assert answer.status == 200, path
    seen[path.rstrip("/")] = answer.body
    for link in links(answer.body):
        if link.rstrip("/") not in seen:
            await paths(asking, link, seen)
    return seen


def links(value):
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in {"@odata.id", "@Redfish.ActionInfo"}:
                yield inner
            else:
                yield from links(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from links(inner)


def test_every_link_leads_to_a_resource_that_says_what_it_is():
    async def scene(asking):
        seen = await paths(asking, "/redfish/v1/", {})
        assert len(seen) == 10
        for path, body in seen.items():
            assert body["@odata.id"].rstrip("/") == path
            assert body["@odata.type"].startswith("#")
            assert body["Name"]
            assert ("Id" in body) is ("Members" not in body)
            assert "Members" not in body or body["Members@odata.count"] == len(body["Members"])

    play(scene)


@pytest.mark.parametrize("path", ["/redfish", "/redfish/v1", "/redfish/v1/", "/redfish/v1/odata"])
def test_root_is_read_without_a_login(path):
    async def scene(asking):
        answer = await asking.get(path, {})
        assert (answer.status, answer.headers["OData-Version"]) == (200, "4.0")

    assert play(scene).ledger.logins == 0


@pytest.mark.parametrize("path", [SYSTEM, "/redfish/v1/Systems", "/redfish/v1/Managers/BMC", SESSIONS, "/other"])
def test_all_else_wants_a_login(path):
    async def scene(asking):
        answer = await asking.get(path, {})
        assert (answer.status, answer.headers["WWW-Authenticate"][:5]) == (401, "Basic")

    assert play(scene).ledger.refused_logins == 0  # nobody has tried


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/redfish/v1/Fabrics", 404),
        ("GET", "/redfish/v1/Systems/2", 404),
        ("GET", f"{SYSTEM}/Bios", 404),
        ("DELETE", f"{SESSIONS}/7", 404),
        ("HEAD", SYSTEM, 200),
    ],
)
def test_what_there_is_not_is_said_so(method, path, status):
    async def scene(asking):
        assert (await asking.ask(method, path)).status == status

    assert not play(scene).machine.presses


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", RESET, "POST"),
        ("POST", SYSTEM, "GET, HEAD, PATCH"),
        ("DELETE", f"{SYSTEM}/ResetActionInfo", "GET, HEAD"),
        ("DELETE", "/redfish/v1/Systems", "GET, HEAD"),
        ("PUT", SESSIONS, "GET, HEAD, POST"),
        ("POST", "/redfish/v1/", "GET, HEAD"),
    ],
)
def test_method_that_a_resource_does_not_take_is_told_with_those_that_it_takes(method, path, allowed):
    async def scene(asking):
        answer = await asking.ask(method, path)
        assert (answer.status, answer.headers["Allow"]) == (405, allowed)

    assert not play(scene).machine.presses


@pytest.mark.parametrize(
    "headers",
    [
        basic(password="wrong"),
        basic("nobody"),
        basic("admin", ""),
        {"authorization": "Basic ###"},
        {"authorization": "Basic \xe9"},
        {"authorization": "Basic /w=="},
    ],
)
def test_wrong_login_is_refused_and_counted(headers):
    async def scene(asking):
        answer = await asking.ask("POST", RESET, {"ResetType": "On"}, headers)
        assert (answer.status, answer.message) == (401, "ResourceAtUriUnauthorized")

    asking = play(scene)
    assert (asking.ledger.logins, asking.ledger.refused_in_a_row) == (0, 1)
    assert not asking.machine.presses


def test_changed_password_holds_at_once():
    async def scene(asking):
        asking.bmc.set_login("admin", "new")
        assert (await asking.get()).status == 401
        asking.bmc.set_login("other", "one")
        assert asking.ledger.refused_in_a_row == 0  # what was refused before says nothing of the new login
        assert (await asking.get(headers=basic(password="new"))).status == 200
        assert (await asking.get(headers=basic("other", "one"))).status == 200
        asking.bmc.remove_login("admin")
        assert (await asking.get(headers=basic(password="new"))).status == 401

    play(scene)


def test_session_is_opened_used_and_closed():
    async def scene(asking):
        opened = await asking.log_in()
        token = {"x-auth-token": opened.headers["X-Auth-Token"]}
        assert (opened.status, opened.body["UserName"]) == (201, "admin")
        assert asking.ledger.sessions == asking.ledger.users == 1
        assert (await asking.get(headers=token)).status == 200
        assert (await asking.get(opened.headers["Location"], token)).body["Password"] is None
        assert (await asking.ask("DELETE", opened.headers["Location"], headers=token)).status == 204
        assert (await asking.get(headers=token)).status == 401

    ledger = play(scene).ledger
    assert (ledger.sessions, ledger.users, ledger.logins, ledger.refused_logins) == (0, 0, 1, 0)


@pytest.mark.parametrize(
    ("login", "status"), [(("admin", "wrong"), 401), (("nobody", "s:cret"), 401), ((None, None), 400)]
)
def test_session_with_a_wrong_login_is_refused(login, status):
    async def scene(asking):
        assert (await asking.log_in(*login)).status == status

    assert play(scene).ledger.most_sessions == 0


def test_no_more_sessions_than_slots():
    async def scene(asking):
        asking.traits.session_slots = 1
        await asking.log_in()
        full = await asking.log_in()
        assert (full.status, full.message) == (503, "SessionLimitExceeded")

    assert play(scene).ledger.sessions == 1


def test_session_that_nobody_closes_expires(monkeypatch):
    monkeypatch.setattr("lab.bmc.redfish.logins.SESSION_TIMEOUT_S", 0.02)

    async def scene(asking):
        token = {"x-auth-token": (await asking.log_in()).headers["X-Auth-Token"]}
        await asyncio.sleep(0.015)
        assert (await asking.get(headers=token)).status == 200  # and is used until later
        await asyncio.sleep(0.015)
        assert asking.ledger.sessions == 1
        await asyncio.sleep(0.03)
        assert (await asking.get(headers=token)).status == 401

    assert play(scene).ledger.sessions_expired == 1


def test_connections_that_log_in_are_users_until_they_end():
    async def scene(asking):
        await asking.ask("GET", "/redfish/v1", headers={}, peer="a")
        await asking.ask("GET", SYSTEM, peer="a")
        await asking.ask("GET", SYSTEM, peer="a")
        await asking.ask("GET", SYSTEM, headers=basic(password="wrong"), peer="c")
        assert asking.ledger.users == 1
        await asking.ask("GET", SYSTEM, peer="b")
        asking.bmc._logins.gone("a")
        asking.bmc._logins.gone("a")
        assert asking.ledger.users == 1

    assert play(scene).ledger.most_users == 2


def test_latency_is_added_to_every_answer():
    async def scene(asking):
        asking.bmc.status_delay_s = 0.02
        began_s = asyncio.get_running_loop().time()
        await asking.get("/redfish/v1/", {})
        await asking.get()
        assert asyncio.get_running_loop().time() - began_s >= 0.04

    play(scene)


@pytest.mark.parametrize(
    ("fault", "status", "done"),
    [
        (Fault.EXPLICIT, 500, False),
        (Fault.SILENT, 204, False),
        (Fault.SLOW, 204, True),
        (Fault.WRONG_STATE, 204, True),
        (Fault.DROP_AFTER, None, True),
        (Fault.UNAUTHORIZED, 401, False),
        (Fault.BUSY, 503, False),
    ],
)
@pytest.mark.parametrize("button", [Button.POWER_ON, Button.PXE_BOOT])
def test_fault_of_a_command_is_done_or_not_as_it_says(fault, status, done, button):
    async def scene(asking):
        asking.bmc.dice.odds = Odds.parse(f"{fault.value}=1,slow-s=0.01")
        command = asking.reset("On") if button is Button.POWER_ON else asking.boot(Enabled="Once", Target="Pxe")
        answer = await command
        assert (answer and answer.status) == status

    asking = play(scene)
    assert asking.ledger.executed == asking.machine.presses == ({button: 1} if done else {})


@pytest.mark.parametrize(
    ("fault", "status"), [(Fault.EXPLICIT, 200), (Fault.DROP_AFTER, 200), (Fault.UNAUTHORIZED, 401), (Fault.BUSY, 503)]
)
def test_fault_of_a_reading(fault, status):
    async def scene(asking):
        assert (await asking.get()).status == status

    play(scene, always(fault))


def test_wrong_state_tells_the_opposite_and_keeps_the_etag():
    async def scene(asking):
        right = await asking.get()
        asking.bmc.dice.odds = Odds(wrong_state=1)
        wrong = await asking.get()
        assert [right.body["PowerState"], wrong.body["PowerState"]] == ["Off", "On"]
        assert right.headers["ETag"] == wrong.headers["ETag"]

    play(scene)


def test_slow_answer_comes_late():
    async def scene(asking):
        asking.bmc.dice.odds = Odds(slow=1, slow_s=0.02)
        began_s = asyncio.get_running_loop().time()
        await asking.get()
        assert asyncio.get_running_loop().time() - began_s >= 0.02

    play(scene)


def test_lost_connection_never_answers_and_does_half_of_what_it_was_told():
    async def scene(asking):
        for _ in range(40):
            assert await asking.reset("On") is None
            assert await asking.get("/redfish/v1/", {}) is None

    pressed = play(scene, always(Fault.PACKET_LOSS)).machine.presses[Button.POWER_ON]
    assert 8 < pressed < 32


@pytest.mark.parametrize("fault", [Fault.BUSY, Fault.UNAUTHORIZED])
def test_fault_of_a_session_s_login(fault):
    async def scene(asking):
        assert (await asking.log_in()).status == (503 if fault is Fault.BUSY else 401)

    asking = play(scene, always(fault))
    assert asking.ledger.sessions == 0
    assert asking.ledger.refused_logins == (fault is Fault.UNAUTHORIZED)


def test_refused_token_is_no_refused_login():
    async def scene(asking):
        token = {"x-auth-token": (await asking.log_in()).headers["X-Auth-Token"]}
        asking.bmc.dice.odds = Odds(unauthorized=1)
        assert (await asking.get(headers=token)).status == 401

    assert play(scene).ledger.refused_logins == 0
