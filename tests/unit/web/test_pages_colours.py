"""The colours of the pages: what is written, and what is pressed, is told apart in light and in dark."""

import re
from pathlib import Path

import pytest

import app.web

STYLE = (Path(app.web.__file__).parent / "static" / "pages.css").read_text()
# As WCAG 2.2 asks: 1.4.3 of text, 1.4.11 of what marks a field, a button or the focus.
TEXT, MARK = 4.5, 3.0
SCHEMES = dict(zip(("light", "dark"), re.findall(r":root \{([^}]*)\}", STYLE), strict=True))
PAIRS = [
    *[(text, back, TEXT) for text in ("text", "soft", "link") for back in ("page", "card")],
    *[("text", "button", TEXT), ("bad", "button", TEXT), ("bad", "card", TEXT), ("warn", "card", TEXT)],
    *[("good", "page", TEXT), ("bad", "page", TEXT)],
    *[(kind, f"{kind}-back", TEXT) for kind in ("bad", "warn", "good", "busy", "idle")],
    *[(mark, back, MARK) for mark in ("edge", "focus") for back in ("page", "card")],
    ("edge", "button", MARK),
]


def colours(scheme):
    return dict(re.findall(r"--([\w-]+): (#\w+)", SCHEMES[scheme]))


def luminance(colour):
    """As WCAG defines it."""
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("front", "back", "least"), PAIRS)
def test_colours_that_meet_differ_enough(scheme, front, back, least):
    named = colours(scheme)
    assert contrast(named[front], named[back]) >= least


def test_both_schemes_name_the_same_colours_and_nothing_uses_another():
    assert colours("light").keys() == colours("dark").keys()
    assert set(re.findall(r"var\(--([\w-]+)\)", STYLE)) == colours("light").keys()
    rules = STYLE
    for scheme in SCHEMES.values():
        rules = rules.replace(scheme, "")
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[;,} ])", rules) == []
