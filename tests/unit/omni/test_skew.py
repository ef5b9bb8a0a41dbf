import pytest

from app.omni.skew import skew_words


@pytest.mark.parametrize(
    ("skew_s", "words"),
    [
        (400.4, "this clock is 400 s ahead of Omni's (it allows 300 s)"),
        (-3600.0, "this clock is 3600 s behind Omni's (it allows 300 s)"),
        (20.0, "this clock is 20 s ahead of Omni's (it allows 300 s)"),
        (4.9, ""),
        (-4.9, ""),
        (None, ""),
    ],
)
def test_skew_is_said_where_it_matters(skew_s, words):
    assert skew_words(skew_s) == words
