"""The operator's own documents: what is refused, and in which words."""

import pytest
import yaml

from app.boot import extra
from app.boot.errors import ConfigNotReady
from app.boot.extra import LARGEST_BYTES, ExtraDocuments, ExtraRefused, check_extra, read_documents
from config.settings import Settings

GOOD = """\
apiVersion: v1alpha1
kind: TrustedRootsConfig
name: company-ca
certificates: |
  -----BEGIN CERTIFICATE-----
  ours
---
# the mirror of the site
apiVersion: v1alpha1
kind: RegistryMirrorConfig
name: docker.io
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "extra.yaml"


def refusals(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ExtraRefused) as caught:
        read_documents(path)
    return caught.value.problems


def document(kind, name="", api_version="v1alpha1"):
    fields = {"apiVersion": api_version, "kind": kind, "name": name}
    return yaml.safe_dump({key: value for key, value in fields.items() if value})


def test_documents_are_given_as_they_are_written(path):
    path.write_text(GOOD)
    first, second = read_documents(path)
    assert f"{first}---\n{second}" == GOOD


@pytest.mark.parametrize("content", [b"", b"# nothing yet\n", b"---\n", b"\xef\xbb\xbf"])
def test_file_without_documents_is_good(path, content):
    path.write_bytes(content)
    assert read_documents(path) == []


def test_mark_at_the_beginning_of_the_file_is_no_part_of_it(path):
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert read_documents(path)[0].startswith("apiVersion")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("machine:\n  type: worker\n", "document 1 (line 1) has no kind (v1alpha1): Omni gives machines that part"),
        ("kind: v1alpha1\n", "document 1 v1alpha1 (line 1) has no kind (v1alpha1)"),
        (document("SideroLinkConfig"), "document 1 SideroLinkConfig (line 1) would take the place of Omni's, and"),
        (document("EventSinkConfig"), "document 1 EventSinkConfig (line 1) would take the place of Omni's, and"),
        (
            document("KmsgLogConfig", "siderolink-agent-kmsg-log"),
            "document 1 KmsgLogConfig named 'siderolink-agent-kmsg-log' (line 1) would take the place of Omni's",
        ),
        (document("KmsgLogConfig", "omni-kmsg"), "document 1 KmsgLogConfig named 'omni-kmsg' (line 1) would take"),
        (
            document("TrustedRootsConfig", "infra-provider-ca"),
            "document 1 TrustedRootsConfig named 'infra-provider-ca' (line 1) would take the place of the one by which",
        ),
        (document("NetworkRuleConfig", api_version=""), "document 1 NetworkRuleConfig (line 1) has no apiVersion"),
        ("- kind: A\n", "document 1 (line 1) is not a mapping of fields"),
        ("kind: [A\n", "is not YAML, line 2, column 1: "),
        (b"kind: A\nname: \xff\n", "is not UTF-8, line 2; store it as that"),
    ],
)
def test_what_may_not_be_added_is_refused_by_number_kind_and_name(path, content, said):
    (words,) = refusals(path, content)
    assert words.startswith(said)


@pytest.mark.parametrize(
    "good",
    [
        document("KmsgLogConfig", "ours"),
        document("TrustedRootsConfig", "company-ca"),
        document("SideroLinkConfigOfOurs"),
        document("WatchdogTimerConfig"),
        document("A", "x") + "---\n" + document("A", "y") + "---\n" + document("B", "x"),
    ],
)
def test_what_only_resembles_it_is_good(path, good):
    path.write_text(good)
    assert read_documents(path)


def test_two_of_one_kind_and_name_are_refused(path):
    content = "---\n".join([document("A", "x"), document("B"), document("A", "x"), document("B"), document("A", "x")])
    assert refusals(path, content) == (
        "document 3 A named 'x' (line 8) has the kind and name of document 1; Talos takes only one, remove the other",
        "document 4 B (line 12) has the kind and name of document 2; Talos takes only one, remove the other",
        "document 5 A named 'x' (line 15) has the kind and name of document 1; Talos takes only one, remove the other",
    )


def test_every_offending_document_is_named(path):
    found = refusals(path, GOOD + "---\nmachine: {}\n---\n" + document("EventSinkConfig"))
    assert [words.partition(" (")[0] for words in found] == ["document 3", "document 4 EventSinkConfig"]


def test_long_and_strange_names_are_shown_short_and_clean(path):
    (words,) = refusals(path, 'kind: "A\\e\\n' + "x" * 300 + '"\n')
    assert "\x1b" not in words and "\n" not in words and len(words) < 200


def test_file_that_cannot_be_read_is_refused(path, tmp_path):
    with pytest.raises(ExtraRefused, match="cannot be read, No such file or directory; name a file that can be"):
        read_documents(path)
    with pytest.raises(ExtraRefused, match="cannot be read, Is a directory"):
        read_documents(tmp_path)


def test_file_that_is_too_large_is_refused_without_reading_it_all(path):
    with path.open("wb") as file:
        file.truncate(10 * 1024**3)
    with pytest.raises(ExtraRefused, match="has more than 512 KiB"):
        read_documents(path)
    path.write_text(document("A") + "#" * (LARGEST_BYTES - len(document("A"))))
    assert len(read_documents(path)) == 1


def test_faults_are_told_with_the_option(path):
    path.write_text(document("EventSinkConfig") + "---\n" + document("SideroLinkConfig"))
    found = list(check_extra(Settings(extra_machine_config_path=path)))
    assert [option for option, _ in found] == ["extra-machine-config-path"] * 2
    assert list(check_extra(Settings())) == []


# While serving


@pytest.fixture
def serving(path, monkeypatch):
    path.write_text(document("A"))
    monkeypatch.setattr("app.boot.followed_file.SETTLES_S", 0.0)
    return ExtraDocuments(Settings(extra_machine_config_path=path))


def test_without_a_file_nothing_is_added():
    assert ExtraDocuments(Settings()).documents() == []


def test_changed_file_is_taken_over_and_a_bad_one_is_not(path, serving):
    assert serving.documents() == [document("A")]
    path.write_text(document("B", "changed"))
    assert serving.documents() == [document("B", "changed")]
    path.write_text("kind: [")
    assert serving.documents() == [document("B", "changed")]
    path.unlink()
    assert serving.documents() == [document("B", "changed")]
    path.write_text("")
    assert serving.documents() == []


def test_file_that_is_bad_from_the_start_holds_configurations_back_until_it_is_mended(path, serving):
    path.write_text("kind: [")
    with pytest.raises(ConfigNotReady) as caught:
        serving.documents()
    assert caught.value.retry_after_s and extra.OPTION in str(caught.value)
    path.write_text(document("B"))
    assert serving.documents() == [document("B")]
