"""The image factory by its answers."""

import pytest

from app.doctor import factory
from app.doctor.finding import Verdict
from config.settings import Settings

BASE = "https://pxe.test"
SCRIPT = b"#!ipxe\nimgfree\n"


@pytest.mark.parametrize(
    ("status", "begin", "took_s", "verdict", "words"),
    [
        (200, SCRIPT, 0.1, Verdict.OK, "has boot scripts of Talos v1.2.3 (100 ms)"),
        (200, SCRIPT, 3.0, Verdict.WARNING, "took 3.0 s to answer"),
        (404, b"not found", 0.1, Verdict.FAILED, "no boot script of Talos v1.2.3 (404)"),
        (200, b"<html>", 0.1, Verdict.FAILED, "answers 200, and no boot script"),
        (502, b"", 0.1, Verdict.FAILED, "answers 502, and no boot script"),
    ],
)
def test_answer_for_a_boot_script_is_judged(status, begin, took_s, verdict, words):
    finding = factory.script_finding(BASE, "v1.2.3", status, begin, took_s)
    assert finding.verdict is verdict
    assert words in finding.words
    if verdict is Verdict.FAILED:
        assert "--image-factory-pxe-base-url" in finding.remedy


def test_version_that_the_factory_does_not_have_names_the_option():
    assert "--agent-mode-talos-version" in factory.script_finding(BASE, "v9", 404, b"", 0.1).remedy


def test_script_is_asked_for_where_boots_ask_for_it():
    settings = Settings(image_factory_pxe_base_url=f"{BASE}/", agent_mode_talos_version="v1.2.3")
    assert factory.script_url(settings, "ab12") == f"{BASE}/pxe/ab12/v1.2.3/metal-amd64"
    settings = Settings(image_factory_pxe_base_url=BASE, secure_boot_enabled=True)
    assert factory.script_url(settings, "ab12").endswith("/metal-amd64-secureboot")
