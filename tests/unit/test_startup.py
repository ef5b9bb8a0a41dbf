import time

import pytest
from structlog.testing import capture_logs

from app.startup import say_when_the_key_ends
from config.settings import Settings
from lab.omni.keys import make_key

DAY_S = 24 * 3600


@pytest.mark.parametrize(("days", "said"), [(29, True), (31, False)])
def test_key_with_few_days_left_is_said_with_the_remedy(days, said):
    key = make_key("bare-metal", created_s=int(time.time()) - DAY_S, life_s=(days + 1) * DAY_S)
    with capture_logs() as logs:
        say_when_the_key_ends(Settings(service_account_key=key.variable))
    assert [entry["event"] for entry in logs] == ["service_account_key_expires_soon"] * said
    assert all("omnictl infraprovider renewkey bare-metal" in entry["remedy"] for entry in logs)
    assert key.variable[20:40] not in str(logs)


def test_no_key_has_no_end():
    with capture_logs() as logs:
        say_when_the_key_ends(Settings())
    assert logs == []
