"""Who is served what."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.web.stand_ins import API_TOKEN, MACHINE_ID, Site

API = "/api/v1/machines"
OPEN = ["/ipxe/init.ipxe", f"/ipxe/boot.ipxe?uuid={MACHINE_ID}", f"/config?u={MACHINE_ID}", "/healthz", "/readyz"]


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.parametrize("address", ["10.0.0.7", "127.0.0.1", None])
@pytest.mark.parametrize("token", ["", API_TOKEN])
def test_open_paths_are_served_to_everyone(
    make_site: Callable[..., Site], path: str, address: str | None, token: str
) -> None:
    assert make_site(api_token=token).get(path, address).status_code == 200


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1"])
def test_loopback_is_served_without_a_token(site: Site, address: str) -> None:
    assert site.get(API, address).status_code == 200


@pytest.mark.parametrize("address", ["10.0.0.7", "fd00::1", "169.254.1.1", None])
def test_others_are_refused_without_a_token(site: Site, address: str | None) -> None:
    answer = site.get(API, address)
    assert answer.status_code == 403
    assert "--api-token" in answer.json["error"]


@pytest.mark.parametrize("header", ["X_Forwarded_For", "Forwarded", "X_Real_Ip"])
def test_proxy_on_this_machine_does_not_make_its_clients_loopback(site: Site, header: str) -> None:
    assert site.get(API, **{header: "127.0.0.1"}).status_code == 403


def test_name_that_was_made_to_point_here_is_refused(site: Site) -> None:
    assert site.get(API, Host="attacker.example:50042").status_code == 403


@pytest.mark.parametrize("host", ["localhost:50042", "127.0.0.1:50042", "[::1]:50042", "localhost"])
def test_own_names_are_served(site: Site, host: str) -> None:
    assert site.get(API, Host=host).status_code == 200


@pytest.mark.parametrize(
    "host", ["[::1", "rebound_name.example", "localhost.example", "127.0.0.1.example", "local host"]
)
def test_odd_host_is_refused(site: Site, host: str) -> None:
    assert site.get(API, Host=host).status_code == 403


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://attacker.example"}, {"Sec_Fetch_Site": "cross-site"}, {"Origin": "null"}]
)
def test_page_from_elsewhere_may_not_give_orders(site: Site, headers: dict[str, str]) -> None:
    assert site.ask("POST", f"{API}/{MACHINE_ID}/retry", **headers).status_code == 403
    assert not site.ordered


def test_page_of_our_own_may_give_orders(site: Site) -> None:
    headers = {"Origin": "http://localhost", "Sec_Fetch_Site": "same-origin", "Host": "localhost"}
    assert site.ask("POST", f"{API}/{MACHINE_ID}/retry", **headers).status_code == 202


@pytest.mark.parametrize("address", ["10.0.0.7", "127.0.0.1", None])
def test_right_token_is_served_from_anywhere(make_site: Callable[..., Site], address: str | None) -> None:
    site = make_site(api_token=API_TOKEN)
    assert site.get(API, address, Authorization=f"Bearer {API_TOKEN}").status_code == 200
    assert site.get(API, address, Authorization=f"bearer {API_TOKEN}").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {API_TOKEN}x"},
        {"Authorization": f"Basic {API_TOKEN}"},
        {"Authorization": "Bearer \xfc"},
    ],
)
def test_wrong_token_is_401_also_for_loopback_and_is_not_logged(
    make_site: Callable[..., Site], headers: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    answer = make_site(api_token=API_TOKEN).get(API, **headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].lower().startswith("bearer")
    logged = capsys.readouterr().out
    assert "api_token_refused" in logged
    assert API_TOKEN not in logged


@pytest.mark.parametrize(("token", "event"), [("", "api_refused_without_token"), (API_TOKEN, "api_token_refused")])
def test_refusals_do_not_fill_the_log(
    make_site: Callable[..., Site], token: str, event: str, capsys: pytest.CaptureFixture[str]
) -> None:
    site = make_site(api_token=token)
    for _ in range(20):
        assert site.get(API, "10.0.0.7").status_code in {401, 403}
    assert capsys.readouterr().out.count(event) == 1


@pytest.mark.parametrize(
    "path", ["/", "/api/v2", "/metrics", "//api/v1/machines", "/ipxe/../api/v1/machines", "/configs"]
)
def test_every_other_path_is_closed_whether_it_exists_or_not(site: Site, path: str) -> None:
    assert site.get(path, "10.0.0.7").status_code in {403, 404}
    assert b'machines"' not in site.get(path, "10.0.0.7").data


def test_path_that_does_not_exist_is_404_in_json_for_the_api(site: Site) -> None:
    answer = site.get("/api/v1/nothing")
    assert answer.status_code == 404
    assert answer.json["error"]
