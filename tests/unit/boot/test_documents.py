"""The documents of a machine configuration, taken apart as they are written."""

import pytest

from app.boot.documents import NotYaml, split


def texts(text):
    return [document.text for document in split(text)]


@pytest.mark.parametrize(
    "text", ["", "\n", "# a comment\n", "---\n", "---\n---\n# nothing\n", "null\n", "~\n", "---\n...\n"]
)
def test_text_without_content_has_no_documents(text):
    assert split(text) == []


def test_documents_are_told_by_number_line_kind_and_name():
    first, second = split("# ours\napiVersion: v1alpha1\nkind: A\nname: 'b c'\n---\nkind: D\nlist:\n- name: not-this\n")
    assert (first.number, first.line, first.kind, first.name, first.api_version) == (1, 2, "A", "b c", "v1alpha1")
    assert (second.number, second.line, second.kind, second.name, second.api_version) == (2, 6, "D", "", "")


def test_empty_documents_are_left_out_and_not_counted():
    found = split("---\n---\nkind: A\n---\n# nothing\n---\nkind: B\n---\n")
    assert [(document.number, document.kind, document.text) for document in found] == [
        (1, "A", "kind: A\n"),
        (2, "B", "kind: B\n"),
    ]


@pytest.mark.parametrize(
    ("text", "documents"),
    [
        ("kind: A", ["kind: A\n"]),
        ("---\nkind: A\n---\nkind: B\n", ["kind: A\n", "kind: B\n"]),
        ("  kind: A\n  name: b\n", ["  kind: A\n  name: b\n"]),
        ("%YAML 1.2\n---\nkind: A\n...\n%YAML 1.2\n---\nkind: B\n...\n", ["kind: A\n", "kind: B\n"]),
        ("--- # why\nkind: A\n", [" # why\nkind: A\n"]),
        ("--- {kind: A}\n--- {kind: B}\n", [" {kind: A}\n", " {kind: B}\n"]),
        ("kind: A\ntext: |+\n  x\n\n---\nkind: B\n", ["kind: A\ntext: |+\n  x\n\n", "kind: B\n"]),
        ("kind: A\ntext: |\n  ---x\n  # y\n# after\n", ["kind: A\ntext: |\n  ---x\n  # y\n# after\n"]),
        ("kind: A\r\n---\r\nkind: B\r\n", ["kind: A\r\n", "kind: B\r\n"]),
        ("kind: B\nx: &a 1\ny: *a\n", ["kind: B\nx: &a 1\ny: *a\n"]),
    ],
)
def test_documents_stay_as_they_are_written(text, documents):
    assert texts(text) == documents


def test_kind_that_yaml_would_read_as_something_else_is_the_text_of_it():
    assert [(d.kind, d.name) for d in split("kind: yes\nname: 0x10\n---\nkind: null\nname: [a]\n")] == [
        ("yes", "0x10"),
        ("", ""),
    ]


def test_tags_are_not_acted_upon():
    assert [d.kind for d in split("kind: A\nrun: !!python/object/apply:os.abort []\n")] == ["A"]


@pytest.mark.parametrize("text", ["- kind: A\n", "kind\n", "'kind: A'\n"])
def test_document_that_is_no_mapping_has_a_fault(text):
    (document,) = split(text)
    assert document.fault.startswith("is not a mapping")


def test_kind_that_comes_by_a_merge_key_is_a_fault():
    document = split("kind: A\n---\nx: &x {kind: B}\n<<: *x\n")[1]
    assert "merge key" in document.fault


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: A\n\tb: 1\n", "line 2, column 1: found character '\\t' that cannot start any token"),
        ("kind: A\nb: [1\n---\n", "line 3, column 1: expected ',' or ']', but got '<document start>'"),
        ("kind: A\nkind: B\n", "line 2, column 1: the key 'kind' stands twice"),
        ("a:\n  b: 1\n  b: 2\n", "line 3, column 3: the key 'b' stands twice"),
        ("a: *b\n", "line 1, column 4: found undefined alias 'b'"),
        ("a: b\nc: d\x07\n", "line 2: a character that YAML does not allow, U+0007"),
        ("%TAG ! tag:x:\n---\na: b\n", "line 1, column 1: %TAG is not supported"),
        ("[" * 20_000, "it is nested too deeply"),
    ],
)
def test_what_is_not_yaml_is_said_with_its_line(text, said):
    with pytest.raises(NotYaml) as caught:
        split(text)
    assert str(caught.value) == said
