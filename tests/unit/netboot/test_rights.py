import pytest

from app.errors import StartError
from netboot.rights import user_named


def test_user_is_found_by_name():
    user = user_named("nobody")
    assert user.name == "nobody"
    assert user.uid > 0


@pytest.mark.parametrize("name", ["nosuch", "", "a\0b"])
def test_user_that_is_not_there_is_named_with_the_remedy(name):
    with pytest.raises(StartError, match=r"--netboot-user: there is no user .* name one that has no rights"):
        user_named(name)


def test_root_is_refused():
    with pytest.raises(StartError, match="root keeps all rights"):
        user_named("root")
