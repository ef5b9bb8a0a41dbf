import pytest

from config.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("30s", 30),
        ("15m", 900),
        ("24h", 86400),
        ("1h30m", 5400),
        ("250ms", 0.25),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("-5m", -300),
        ("100µs", 0.0001),
        ("1h1m1s1ms", 3661.001),
    ],
)
def test_go_duration_is_read_as_seconds(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "15", "15 m", "m", "1d", "1h30", "1h 30m", ".s", "--5s", "٣s", "1e3s", "inf"])
def test_what_is_no_go_duration_is_refused(text):
    with pytest.raises(ValueError, match="no duration"):
        parse_duration(text)
