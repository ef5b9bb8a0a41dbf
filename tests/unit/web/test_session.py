"""Sessions that are signed and kept nowhere."""

from app.web.session import LIFE_S, Sessions

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
NOW_S = 1_800_000_000.0


def test_session_holds_for_its_life_and_no_longer():
    sessions = Sessions(KEY, "token")
    session = sessions.begin(NOW_S)
    assert sessions.valid(session, NOW_S)
    assert sessions.valid(session, NOW_S + LIFE_S - 1)
    assert not sessions.valid(session, NOW_S + LIFE_S + 1)


def test_changed_token_or_key_ends_all_sessions():
    session = Sessions(KEY, "token").begin(NOW_S)
    assert not Sessions(KEY, "another").valid(session, NOW_S)
    assert not Sessions(OTHER_KEY, "token").valid(session, NOW_S)


def test_session_with_a_later_end_is_refused():
    sessions = Sessions(KEY, "token")
    expires, _, rest = sessions.begin(NOW_S).partition(".")
    for forged in (f"{int(expires) + 1}.{rest}", "", "..", "x", f"{expires}.{rest}x", f"é.{rest}"):
        assert not sessions.valid(forged, NOW_S)


def test_form_belongs_to_one_session():
    sessions = Sessions(KEY, "token")
    mine, yours = sessions.begin(NOW_S), sessions.begin(NOW_S)
    assert sessions.form_valid(mine, sessions.form_token(mine))
    assert not sessions.form_valid(mine, sessions.form_token(yours))
    assert not sessions.form_valid(mine, "")


def test_words_come_back_to_their_session_alone():
    sessions = Sessions(KEY, "token")
    mine, yours = sessions.begin(NOW_S), sessions.begin(NOW_S)
    sealed = sessions.seal_words(mine, "Started: wipe. ü")
    assert sessions.open_words(mine, sealed) == "Started: wipe. ü"
    assert sessions.open_words(yours, sealed) == ""
    for forged in ("", "x", "x.y", "." + sealed, sealed[1:]):
        assert sessions.open_words(mine, forged) == ""
