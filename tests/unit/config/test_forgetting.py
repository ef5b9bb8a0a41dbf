"""What a process that needs no secret does not know afterwards."""

import os
from urllib import parse

from config.forgetting import SECRET_VARIABLES, forget_secrets


def test_environment_is_left_without_secrets(monkeypatch):
    for variable in SECRET_VARIABLES:
        monkeypatch.setenv(variable, "sesame")
    monkeypatch.setenv("OMNI_METAL_API_TOKEN", "")
    monkeypatch.setenv("OMNI_METAL_DEBUG", "true")
    forget_secrets()
    assert not SECRET_VARIABLES & os.environ.keys()
    assert os.environ["OMNI_METAL_DEBUG"] == "true"


def test_urls_that_were_looked_at_are_not_kept():
    seen = parse.urlsplit("redis://:sesame@host/0")
    forget_secrets()
    assert parse.urlsplit("redis://:sesame@host/0") is not seen


def test_all_that_are_secret_are_known():
    assert {"OMNI_SERVICE_ACCOUNT_KEY", "OMNI_METAL_API_TOKEN", "OMNI_METAL_REDIS_URL"} < SECRET_VARIABLES
