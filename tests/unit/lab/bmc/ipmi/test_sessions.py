import pytest

from lab.bmc.ipmi.keys import SUITES, Keys, Proof
from lab.bmc.ipmi.sessions import HANDSHAKE_S, SESSION_S, SLOTS, Session, Sessions
from lab.bmc.ledger import Ledger

KEYS = Keys(SUITES[0], b"signs", bytes(16))
PROOF = Proof(SUITES[0], 1, 2, bytes(16), bytes(16), bytes(16), 4, b"admin")


class Book:
    """Sessions with a clock that is set by hand."""

    def __init__(self):
        self.now_s = 1000.0
        self.ledger = Ledger()
        self.sessions = Sessions(self.ledger, lambda: self.now_s)

    def begin(self, number, *, login=True):
        session = self.sessions.begin(SUITES[0], 1, ("192.0.2.1", number), 4)
        if session and login:
            session.proof = PROOF
            self.sessions.logged_in(session, KEYS)
            self.sessions.used(session)
        return session


def test_slots_are_as_many_as_there_are_and_come_back():
    book = Book()
    first, *others = [book.begin(number) for number in range(SLOTS + 1)]
    book.sessions.close(first)

    assert all(others[:-1]) and others[-1] is None
    assert book.begin(9)
    assert (book.ledger.sessions, book.ledger.most_sessions, book.ledger.sessions_expired) == (SLOTS, SLOTS, 0)


def test_handshakes_take_slots_and_give_them_back_soon():
    book = Book()
    for number in range(SLOTS):
        book.begin(number, login=False)

    assert book.begin(8) is None
    book.now_s += HANDSHAKE_S
    assert book.begin(8)


def test_program_that_begins_anew_gives_up_what_it_had_begun():
    book = Book()
    for _ in range(3 * SLOTS):
        assert book.begin(1, login=False)


def test_session_that_is_not_heard_of_expires():
    book = Book()
    session = book.begin(1)
    book.now_s += SESSION_S - 1
    book.sessions.heard(session)
    book.now_s += SESSION_S - 1
    assert book.sessions.find(session.bmc_id) is session
    book.now_s += 1

    assert book.sessions.find(session.bmc_id) is None
    assert (book.ledger.sessions, book.ledger.sessions_expired, book.ledger.users) == (0, 1, 0)
    assert book.sessions.next_end_s() is None


def test_two_sessions_that_work_crosswise_are_two_users():
    book = Book()
    first = book.begin(1)
    second = book.begin(2)
    book.sessions.heard(second)
    assert book.ledger.most_users == 1
    book.sessions.heard(first)

    assert (book.ledger.users, book.ledger.most_users) == (2, 2)
    book.sessions.close(second)
    book.sessions.close(first)
    assert book.ledger.users == 0


def test_session_that_its_user_left_behind_is_no_second_user():
    book = Book()
    book.begin(1)
    last = book.begin(2)
    book.sessions.heard(last)
    book.sessions.close(last)

    assert (book.ledger.users, book.ledger.most_users, book.ledger.sessions) == (0, 1, 1)


def test_session_whose_close_was_lost_is_not_counted_as_left_open():
    book = Book()
    book.sessions.left(book.begin(1))
    assert (book.ledger.users, book.ledger.sessions) == (0, 0)
    book.now_s += SESSION_S
    book.sessions.expire()

    assert (book.ledger.sessions, book.ledger.sessions_expired) == (0, 0)
    assert (book.ledger.slots, book.ledger.slots_expired) == (0, 1)


def test_session_that_its_program_has_never_used_takes_a_slot_and_is_not_counted():
    book = Book()
    book.sessions.slots = 1
    book.sessions.logged_in(book.begin(1, login=False), KEYS)
    assert (book.ledger.logins, book.ledger.sessions) == (1, 0)
    assert book.begin(2) is None
    book.now_s += SESSION_S

    assert book.begin(2)
    assert (book.ledger.sessions_expired, book.ledger.slots_expired) == (0, 1)


def test_slot_of_a_login_whose_answer_was_lost_is_nobodys_to_give_back_unless_it_was_used():
    book = Book()
    for used in (False, True):
        session = book.begin(1, login=False)
        session.lossy = True
        book.sessions.logged_in(session, KEYS)
        if used:
            book.sessions.used(session)
        assert book.ledger.slots == 1
        book.now_s += SESSION_S
        book.sessions.expire()

        assert (book.ledger.slots, book.ledger.slots_expired) == (0, int(used))


def test_slot_that_is_given_back_has_not_expired():
    book = Book()
    session = book.begin(1)
    assert book.ledger.slots == 1
    book.sessions.close(session)

    assert (book.ledger.slots, book.ledger.slots_expired) == (0, 0)


@pytest.mark.parametrize(("lossy", "refused"), [(False, 1), (True, 0)])
def test_silence_after_the_second_message_is_a_wrong_password_unless_something_was_lost(lossy, refused):
    book = Book()
    session = book.begin(1, login=False)
    session.proof, session.lossy = PROOF, lossy
    book.now_s += HANDSHAKE_S
    book.sessions.expire()

    assert (book.ledger.refused_logins, book.ledger.sessions_expired) == (refused, 0)


def test_packet_numbers_may_come_in_disorder_within_the_window():
    session = Session(SUITES[0], 1, 2, ("192.0.2.1", 1), 4, 0.0)

    assert [session.takes(number) for number in (1, 16, 2, 16, 32, 31, 10, 0)] == [
        True, True, True, True, False, True, False, False
    ]
    assert [session.next_sequence() for _ in range(3)] == [1, 2, 3]
