"""Logging in at an IPMI BMC that refuses, and then is gone."""

import pytest

from app.machine.model import Ipmi
from workers.bmc.errors import BmcAuthenticationFailed, BmcError, BmcUnreachable
from workers.bmc.ipmi import connect
from workers.bmc.ipmi.login import NameUnanswered

LOGIN = Ipmi("192.0.2.1", 623, "talos-agent", "secret")


class Place:
    """Where nothing is sent to."""

    def line(self) -> "Place":
        return self

    def close(self) -> None:
        pass


@pytest.mark.parametrize("refused", [0, 1, 2])
def test_session_that_is_lost_amid_refusals_tells_how_many_there_were(
    monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    errors: list[BmcError] = [BmcAuthenticationFailed("no") for _ in range(refused)] + [BmcUnreachable("gone")]
    waiting = iter(errors)

    def fail(*_: object) -> None:
        raise next(waiting)

    monkeypatch.setattr(connect, "_connect", fail)
    monkeypatch.setattr(connect, "REFUSED_PAUSE_S", 0.0)
    with pytest.raises(BmcUnreachable) as caught:
        connect.log_in(LOGIN, 3, 0.0)
    assert caught.value.refusals == refused


@pytest.mark.parametrize("refused", [0, 1])
def test_silence_about_the_user_counts_as_three_refusals_on_top_of_those_before(
    monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    answers: list[Exception] = [BmcAuthenticationFailed("no") for _ in range(refused)]

    def answer(*_: object, **__: object) -> None:
        raise answers.pop() if answers else NameUnanswered("the user's name")

    monkeypatch.setattr(connect, "targets", lambda _: [Place()])
    monkeypatch.setattr(connect, "Wire", answer)
    monkeypatch.setattr(connect, "REFUSED_PAUSE_S", 0.0)
    with pytest.raises(BmcUnreachable, match="but not the user's name") as caught:
        connect.log_in(LOGIN, 3, 0.0)
    assert caught.value.refusals == refused + 3
