"""Whatever documents there are, and however they are written: each is found again in what machines get."""

import yaml
from hypothesis import given
from hypothesis import strategies as st

from app.boot.documents import split
from app.boot.join import machine_config

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda v: st.lists(v, max_size=3) | st.dictionaries(WORDS, v, max_size=3),
)
DOCUMENTS = st.dictionaries(st.sampled_from(["kind", "name", "apiVersion"]) | WORDS, VALUES, min_size=1, max_size=5)
STYLES = st.fixed_dictionaries(
    {
        "default_flow_style": st.sampled_from([None, True, False]),
        "default_style": st.sampled_from([None, "'", '"', "|"]),
        "allow_unicode": st.booleans(),
        "explicit_end": st.booleans(),
        "version": st.sampled_from([None, (1, 1)]),
    }
)


class Source:
    def __init__(self, text):
        self.text = text

    def join_config(self):
        return self.text


@given(join=st.lists(DOCUMENTS, min_size=1, max_size=2), extra=st.lists(DOCUMENTS, max_size=4), style=STYLES)
def test_documents_are_taken_apart_and_put_together_without_loss(join, extra, style):
    text = yaml.safe_dump_all(extra, explicit_start=True, **style)
    found = split(text)
    config = machine_config(Source(yaml.safe_dump_all(join)), [document.text for document in found])
    assert list(yaml.safe_load_all(config)) == [*join, *extra]
    for document, known in zip(found, extra, strict=True):
        assert document.kind == known.get("kind") or not isinstance(known.get("kind"), str)
