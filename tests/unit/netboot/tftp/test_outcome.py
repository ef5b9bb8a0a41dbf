"""Ends of a transfer in words."""

import pytest

from netboot.tftp.outcome import Outcome, words_for


@pytest.mark.parametrize("outcome", set(Outcome) - {Outcome.SENT})
def test_each_end_that_is_no_success_has_words(outcome):
    assert "status" not in words_for(outcome)


def test_signal_is_told_by_its_number():
    assert words_for(-9) == "its process ended with status -9"
