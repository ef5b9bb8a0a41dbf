"""A real browser without a window, for tests of the pages."""

import contextlib
import os
import shutil

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM, DRIVER = "chromium", "chromedriver"
NARROW = 600  # px; telephones
LOAD_S = 30  # a page of three machines on two busy cores
_PASSING = (NoSuchElementException, StaleElementReferenceException)
NO_SCRIPTS = {"profile.managed_default_content_settings.javascript": 2}


def missing():
    """What is missing for a browser and how to get it; empty where all is there."""
    found = shutil.which(CHROMIUM) and shutil.which(DRIVER)
    return "" if found else "no chromium: apt-get install chromium chromium-driver"


class Browser:
    """A browser at a site; its pages are named by their paths."""

    def __init__(self, driver, site_url):
        self.driver, self.url = driver, site_url

    def open(self, path):
        self.driver.get(self.url + path)

    @property
    def path(self):
        return self.driver.current_url.removeprefix(self.url)

    @property
    def text(self):
        return self.driver.find_element(By.TAG_NAME, "body").text

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def until(self, holds, timeout_s=LOAD_S):
        """Wait until it holds; the answer is what it gives. What is being replaced just then is looked for again."""
        return WebDriverWait(self.driver, timeout_s, 0.1, ignored_exceptions=_PASSING).until(lambda _: holds())

    def focused(self):
        return self.driver.switch_to.active_element

    def log_in(self, token):
        self.open("/login")
        self.find("#token").send_keys(token)
        self.find(".login button").click()
        self.until(lambda: self.path == "/")

    def appear(self, width, scheme):
        """Show pages in a window of this width (px), narrower than any real one if need be, in `light` or `dark`."""
        screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < NARROW}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})

    def complaints(self):
        """What the browser itself complains of: scripts that broke, things that our own policy refuses."""
        return [line["message"] for line in self.driver.get_log("browser") if line["level"] == "SEVERE"]


@contextlib.contextmanager
def browser(site_url, *, scripts=True):
    """A new browser, which knows nothing of earlier ones."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which(CHROMIUM)
    for argument in ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,900"):
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # chromium's sandbox is not for root
    if not scripts:
        options.add_experimental_option("prefs", NO_SCRIPTS)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Service(shutil.which(DRIVER)))
    try:
        driver.set_page_load_timeout(LOAD_S)
        yield Browser(driver, site_url)
    finally:
        driver.quit()
