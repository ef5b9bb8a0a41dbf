from config.document import TARGET, render
from config.options import OPTIONS


def test_committed_page_of_options_is_current():
    assert TARGET.read_text(encoding="utf-8") == render(), "run make docs"


def test_page_names_every_option_and_variable():
    page = render()
    for option in OPTIONS.values():
        assert f"`{option.variable}`" in page
