import pytest

from app.agents.channels import IDLE_LIMIT_S, Channels


class FakeChannel:
    def __init__(self, address):
        self.address = address
        self.closed = False

    def close(self):
        self.closed = True


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("app.agents.channels.monotonic", clock)
    return clock


@pytest.fixture
def channels(clock):
    return Channels(FakeChannel)


def test_calls_to_one_address_share_a_channel(channels):
    with channels.use("a") as one, channels.use("a") as two, channels.use("b") as other:
        assert one is two is not other


def test_channel_of_a_former_gateway_is_closed_when_another_is_used(channels, clock):
    with channels.use("former") as former:
        pass
    clock.now_s += IDLE_LIMIT_S - 1
    with channels.use("a"):
        assert not former.closed
    clock.now_s += 2
    with channels.use("a") as kept:
        assert former.closed
        assert not kept.closed
    with channels.use("former") as again:
        assert not again.closed


def test_channel_with_a_call_that_lasts_is_not_closed(channels, clock):
    with channels.use("a") as long:
        clock.now_s += 10 * IDLE_LIMIT_S
        with channels.use("b"):
            assert not long.closed
    clock.now_s += IDLE_LIMIT_S - 1
    with channels.use("b"):
        assert not long.closed


def test_call_that_fails_leaves_no_user_behind(channels, clock):
    with pytest.raises(ValueError, match="of a test"), channels.use("a") as failed:
        raise ValueError("of a test")
    clock.now_s += IDLE_LIMIT_S + 1
    with channels.use("b"):
        assert failed.closed


def test_end_closes_all(channels):
    with channels.use("a") as one, channels.use("b") as two:
        channels.close()
        assert one.closed
        assert two.closed
