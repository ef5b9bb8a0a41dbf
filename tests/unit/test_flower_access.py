import pytest

from app.errors import StartError
from app.flower_access import flower_address, flower_password, password_file
from config.settings import Settings


def test_password_is_made_once_for_our_eyes_only(tmp_path):
    settings = Settings(state_dir=tmp_path / "state")
    made = flower_password(settings)
    assert len(made) == 24
    assert password_file(settings.state_dir).stat().st_mode & 0o777 == 0o600
    assert flower_password(settings) == made
    assert flower_password(Settings(state_dir=tmp_path / "other")) != made


def test_password_that_was_given_beats_the_kept_one_and_makes_no_file(tmp_path):
    assert flower_password(Settings(state_dir=tmp_path, flower_password="sesame")) == "sesame"
    assert list(tmp_path.iterdir()) == []


def test_password_that_a_person_wrote_counts_without_its_line_end(tmp_path):
    password_file(tmp_path).write_text("sesame\n")
    assert flower_password(Settings(state_dir=tmp_path)) == "sesame"


def test_empty_password_file_is_refused_with_the_remedy(tmp_path):
    password_file(tmp_path).write_text("\n")
    with pytest.raises(StartError, match="is empty; write a password into it"):
        flower_password(Settings(state_dir=tmp_path))


def test_state_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match=r"flower-password cannot be .*set --flower-password"):
        flower_password(Settings(state_dir=tmp_path / "file"))


@pytest.mark.parametrize(
    ("listen", "advertised", "address"),
    [
        ("127.0.0.1:5555", "10.0.0.1", "http://127.0.0.1:5555"),
        ("0.0.0.0:5556", "10.0.0.1", "http://10.0.0.1:5556"),
        ("[::]:5556", "fd00::1", "http://[fd00::1]:5556"),
        ("[fd00::2]:5556", "10.0.0.1", "http://[fd00::2]:5556"),
        ("host.example:5556", "10.0.0.1", "http://host.example:5556"),
    ],
)
def test_address_is_one_that_a_browser_can_use(listen, advertised, address):
    settings = Settings(flower_listen=listen, api_advertise_address=advertised)
    assert flower_address(settings) == address
