"""The pages in a real browser, at a real site: two of its three machines are parked after a wipe that failed."""

import json
import urllib.request

import pytest
from selenium.webdriver.common.keys import Keys

from tests.integration.browser import browser, missing
from tests.integration.whole_site import WholeSite
from tests.required import need

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

TOKEN = "sesame-of-the-pages"
REFRESH_S = 40  # they come each 5 s; a wipe or two fit in as well


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    need(missing())
    options = ("--operation-attempts=1", f"--api-token={TOKEN}")
    folder = tmp_path_factory.mktemp("pages")
    with WholeSite(folder, *options, machines=3, wipe_s=0.5, boot_s=0.2, fail_wipes=2) as site:
        site.url = f"http://127.0.0.1:{site.port}"
        site.accept_all()
        site.until(lambda _: sorted(phases(site).values()) == ["parked", "parked", "ready"], 60, "two are parked")
        yield site


def phases(site):
    """The phase of each machine."""
    request = urllib.request.Request(f"{site.url}/api/v1/machines", headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return {machine["id"]: machine["phase"] for machine in json.load(answer)["machines"]}


def in_phase(site, phase):
    return next(machine_id for machine_id, found in phases(site).items() if found == phase)


def wiped(site, machine_id):
    (machine,) = [m for m in site.machines if m.id == machine_id]
    return machine.counts["wipe done"]


def machine_of(link):
    return (link.get_attribute("href") or "").rpartition("/machines/")[2]


def tab_to(page, wanted):
    """Press the tab key until what is wanted has the focus."""
    for _ in range(60):
        page.focused().send_keys(Keys.TAB)
        if wanted(page.focused()):
            return page.focused()
    raise AssertionError("not reached by the keyboard")


def test_login_wrong_token_is_told_right_one_leads_to_the_page_that_was_asked_for(site):
    machine_id = in_phase(site, "parked")
    with browser(site.url) as page:
        page.open(f"/machines/{machine_id}")
        assert page.path.startswith("/login?next=")
        page.find("#token").send_keys("not-" + TOKEN + "\n")
        page.until(lambda: "This is not the token" in page.text)
        assert "status of 403" in page.complaints().pop()
        page.find("#token").send_keys(TOKEN + "\n")
        page.until(lambda: page.path == f"/machines/{machine_id}")
        assert "input/output error" in page.text
        (cookie,) = page.driver.get_cookies()
        assert cookie["httpOnly"] and cookie["sameSite"] == "Strict" and TOKEN not in cookie["value"]
        page.find("form[action='/logout'] button").click()
        page.until(lambda: page.path == "/login")
        page.open("/")
        assert page.path.startswith("/login")
        assert page.complaints() == []


def test_fleet_is_filtered_and_a_machine_opened_by_keyboard_alone(site):
    parked = {machine_id for machine_id, phase in phases(site).items() if phase == "parked"}
    with browser(site.url) as page:
        page.open("/login")
        page.focused().send_keys(TOKEN + "\n")
        page.until(lambda: len(page.all("tbody tr")) == 3)
        assert "parked" in page.all("tbody tr")[0].text
        first = tab_to(page, lambda element: True)
        assert "Skip" in first.text
        tab_to(page, lambda element: element.tag_name == "a" and "parked" in element.text).send_keys("\n")
        page.until(lambda: "phase=parked" in page.path)
        assert {machine_of(link) for link in page.all("tbody th a")} == parked
        tab_to(page, lambda element: element.get_attribute("id") == "q").send_keys("LAB0001\n")
        page.until(lambda: "q=LAB0001" in page.path)
        page.open("/?q=LAB0001")
        (found,) = page.all("tbody th a")
        wanted = machine_of(found)
        tab_to(page, lambda element: machine_of(element) == wanted).send_keys("\n")
        page.until(lambda: page.path == f"/machines/{wanted}")
        assert page.complaints() == []


@pytest.mark.parametrize("width", [360, 1280])
def test_page_fits_its_window_in_both_schemes(site, width):
    machine_id = in_phase(site, "parked")
    with browser(site.url) as page:
        page.appear(width, "light")
        page.log_in(TOKEN)
        for path in ("/", f"/machines/{machine_id}", "/machines/unknown", "/login"):
            page.open(path)
            backs = set()
            for scheme in ("light", "dark"):
                page.appear(width, scheme)
                assert page.driver.execute_script("return document.documentElement.scrollWidth") <= width, path
                backs.add(page.find("body").value_of_css_property("background-color"))
            assert len(backs) == 2
        page.open("/")
        table = page.find("#scroll")
        needed, given = (int(table.get_property(name)) for name in ("scrollWidth", "clientWidth"))
        assert needed > given if width < 600 else needed <= given  # what does not fit is reached by scrolling the table


def test_refresh_shows_a_change_in_place_and_keeps_what_is_typed(site):
    machine_id = in_phase(site, "ready")
    with browser(site.url) as page:
        page.log_in(TOKEN)
        page.driver.execute_script("window.loaded_once = true")
        page.find("#q").send_keys("half a wo")
        site.thread.call(lambda: site.thread.rack.omni.cordon(machine_id, True))
        try:
            page.until(lambda: "1 cordoned" in page.find("#phases").text, REFRESH_S)
            assert "cordoned" in page.find(f"#machines tr:has(a[href$='{machine_id}'])").text
            assert page.driver.execute_script("return window.loaded_once")
            assert page.find("#q").get_attribute("value") == "half a wo"
            assert page.focused() == page.find("#q")
        finally:
            site.thread.call(lambda: site.thread.rack.omni.cordon(machine_id, False))
        page.until(lambda: "cordoned" not in page.find("#machines").text, REFRESH_S)
        assert page.complaints() == []


def test_page_that_cannot_be_kept_current_says_so_until_it_can(site):
    with browser(site.url) as page:
        page.log_in(TOKEN)
        assert not page.find("#stale").is_displayed()
        page.driver.set_network_conditions(offline=True, latency=0, throughput=0)
        page.until(lambda: page.find("#stale").is_displayed(), REFRESH_S)
        assert "the provider does not answer" in page.find("#stale").text
        page.driver.delete_network_conditions()
        page.until(lambda: not page.find("#stale").is_displayed(), REFRESH_S)
        page.driver.delete_all_cookies()
        page.until(lambda: "the login has ended" in page.find("#stale").text, REFRESH_S)
        page.find("#stale a").click()
        page.until(lambda: page.path == "/login?next=%2F")


def test_parked_wipe_tried_again_on_its_page_ends_in_a_wiped_machine(site):
    machine_id = in_phase(site, "parked")
    with browser(site.url) as page:
        page.log_in(TOKEN)
        page.open(f"/machines/{machine_id}")
        assert "parked" in page.find(".lead").text and "input/output error" in page.find(".lead").text
        page.find("#do-retry").click()
        page.until(lambda: "Started: wipe" in page.text)
        page.until(lambda: page.path == f"/machines/{machine_id}")  # told once: not again when the page is loaded again
        site.until(lambda _: wiped(site, machine_id) == 1, 60, "wiped")
        page.until(lambda: "ready" in page.find(".lead").text, REFRESH_S)
        assert "done" in page.find("#history").text and "failed" in page.find("#history").text
        assert page.complaints() == []


def test_without_scripts_a_parked_wipe_is_found_and_ordered_once_it_is_confirmed(site):
    machine_id = in_phase(site, "parked")
    with browser(site.url, scripts=False) as page:
        page.log_in(TOKEN)
        page.find("a.parked").click()
        page.find(f"#machines a[href$='{machine_id}']").click()
        page.until(lambda: page.path == f"/machines/{machine_id}")
        page.find("#do-wipe").click()
        assert page.path == f"/machines/{machine_id}"  # the browser asks for the tick, and the server would too
        page.find("form[action$='/wipe'] input[type=checkbox]").click()
        page.find("#do-wipe").click()
        page.until(lambda: "Started: wipe" in page.text)
        site.until(lambda _: wiped(site, machine_id) == 1, 60, "wiped")
        page.open("/?phase=parked")
        page.until(lambda: machine_id not in page.driver.page_source)
