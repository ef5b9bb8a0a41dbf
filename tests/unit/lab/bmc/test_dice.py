import pytest

from lab.bmc.dice import Dice, Fault, Odds


def test_odds_are_read_by_the_names_of_the_faults():
    odds = Odds.parse("explicit=0.1, silent=0.2,packet-loss=0.03,wrong-state=1,slow-s=7")

    assert odds == Odds(explicit=0.1, silent=0.2, packet_loss=0.03, wrong_state=1.0, slow_s=7.0)
    assert Odds.parse("") == Odds()


@pytest.mark.parametrize("fault", list(Fault))
def test_every_fault_can_be_named(fault):
    odds = Odds.parse(f"{fault.value}=0.5")

    assert odds.of(fault) == 0.5
    assert not odds.fair
    assert sum(odds.of(other) for other in Fault) == 0.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("explode=0.1", r"'explode=0.1' is no NAME=NUMBER with a name of explicit, silent, .*packet-loss, slow-s"),
        ("explicit", "'explicit' is no NAME=NUMBER"),
        ("explicit=often", "'often' is no number"),
        ("silent=1.5", "'silent=1.5': a number from 0 to 1 is wanted"),
        ("silent=-0.1", "from 0 to 1"),
        ("silent=nan", "from 0 to 1"),
        ("slow-s=inf", "'slow-s=inf': a number from 0 of seconds is wanted"),
        ("silent=0.1,silent=0.2", "'silent' stands there twice"),
    ],
)
def test_odds_that_cannot_be_read_name_the_piece(text, said):
    with pytest.raises(ValueError, match=said):
        Odds.parse(text)


def test_same_seed_gives_the_same_faults_whatever_else_is_thrown():
    odds = Odds(explicit=0.5, packet_loss=0.5)
    one, other = Dice(odds, "7/a"), Dice(odds, "7/a")

    first = [one.falls(Fault.EXPLICIT) for _ in range(50)]
    second = []
    for count in range(50):
        second.append(other.falls(Fault.EXPLICIT))
        for _ in range(count % 3):
            other.falls(Fault.PACKET_LOSS)

    assert first == second
    assert first != [Dice(odds, "8/a").falls(Fault.EXPLICIT) for _ in range(50)]


def test_coin_falls_on_either_side_and_tells_one_bmc_from_another():
    coin, other = Dice(seed=1), Dice(seed=2)
    tossed = [coin.coin() for _ in range(50)]

    assert 10 < sum(tossed) < 40
    assert tossed != [other.coin() for _ in range(50)]


def test_faults_come_as_often_as_they_are_likely_and_are_counted():
    dice = Dice(Odds(silent=0.1, busy=1.0), 1)

    count = sum(dice.falls(Fault.SILENT) for _ in range(10_000))
    busy = sum(dice.falls(Fault.BUSY) for _ in range(10))
    never = sum(dice.falls(Fault.EXPLICIT) for _ in range(10))

    assert 850 < count < 1150
    assert (busy, never) == (10, 0)
    assert (dice.fallen[Fault.SILENT], dice.fallen[Fault.BUSY], dice.fallen[Fault.EXPLICIT]) == (count, 10, 0)


def test_dice_without_odds_never_fall():
    dice = Dice()

    assert dice.odds.fair
    assert not any(dice.falls(fault) for fault in Fault)
