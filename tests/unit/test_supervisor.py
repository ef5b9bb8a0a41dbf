"""Which processes of `run` keep the right to ports below 1024."""

import pytest

from app.supervisor import keeps_rights
from config.settings import Settings


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({}, {"netboot"}),
        ({"api_port": 80}, {"netboot", "web"}),
        ({"tls_api_port": 443}, {"netboot"}),
        ({"tls_api_port": 443, "tls_enabled": True}, {"netboot", "web"}),
        ({"gateway_listen": "0.0.0.0:444"}, {"netboot", "gateway"}),
        ({"flower_listen": "[::1]:80"}, {"netboot", "flower"}),
    ],
)
def test_right_to_low_ports_is_kept_where_one_is_used(settings, kept):
    assert keeps_rights(Settings(**settings)) == kept
