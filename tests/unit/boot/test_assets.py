"""Which files of the folder of local boot assets are opened, and what is said of a folder that is not complete."""

import os

import pytest

from app.boot.assets import LONGEST_CMDLINE_BYTES, OPTION, LocalAssets, check_assets
from app.boot.errors import AssetsMissing
from app.boot.regular_file import FileUnfit
from app.machine.boot import Arch
from config.settings import Settings


def fill(folder, arch="amd64", cmdline=b"talos.platform=metal\n"):
    folder.mkdir(exist_ok=True)
    for name, content in (("kernel-", b"K"), ("initramfs-metal-", b"I"), ("cmdline-metal-", cmdline)):
        (folder / f"{name}{arch}{'.xz' if content == b'I' else ''}").write_bytes(content)
    return folder


@pytest.fixture
def assets(tmp_path):
    return LocalAssets(fill(tmp_path / "assets"))


def problems(folder):
    options = {"use_local_boot_assets": True, "boot_assets_path": folder, "api_advertise_address": "10.0.0.1"}
    return list(check_assets(Settings(**options)))


def test_file_is_opened_also_below_the_folder_and_by_a_link_inside(tmp_path, assets):
    folder = tmp_path / "assets"
    (folder / "v1").mkdir()
    (folder / "v1" / "kernel").write_bytes(b"below")
    (folder / "link").symlink_to("v1/kernel")
    below = {"v1/kernel": b"below", "link": b"below", "./v1//kernel": b"below"}
    for name, content in {"kernel-amd64": b"K", **below}.items():
        with assets.open(name) as file:
            assert file.read() == content


def test_folder_that_is_a_link_itself_is_the_folder_it_leads_to(tmp_path, assets):
    (tmp_path / "link").symlink_to(tmp_path / "assets")
    LocalAssets(tmp_path / "link").open("kernel-amd64").close()


@pytest.mark.parametrize(
    "name", ["../secret", "v1/../../secret", "/etc/passwd", "{outside}", "link-out", "folder-out/secret", "..", "."]
)
def test_nothing_outside_of_the_folder_is_opened(tmp_path, assets, name):
    secret, folder = tmp_path / "secret", tmp_path / "assets"
    secret.write_bytes(b"secret")
    (folder / "v1").mkdir()
    (folder / "link-out").symlink_to(secret)
    (folder / "folder-out").symlink_to(tmp_path)
    with pytest.raises(FileUnfit):
        assets.open(name.format(outside=secret))


def test_folder_beside_it_whose_name_begins_the_same_is_outside(tmp_path, assets):
    fill(tmp_path / "assets-old")
    with pytest.raises(FileUnfit, match="leads out of the folder"):
        assets.open("../assets-old/kernel-amd64")


@pytest.mark.parametrize("name", ["no", "kernel-amd64/x", "a\0b", "x" * 5000, "round"])
def test_name_that_is_no_file_is_unfit(tmp_path, assets, name):
    (tmp_path / "assets" / "round").symlink_to("round")
    with pytest.raises(FileUnfit):
        assets.open(name)


def test_one_complete_architecture_is_enough(tmp_path):
    assert problems(fill(tmp_path / "one", "arm64")) == []


def test_nothing_is_asked_of_the_folder_without_local_assets(tmp_path):
    assert list(check_assets(Settings(boot_assets_path=tmp_path / "no"))) == []


def test_every_file_that_is_missing_or_unfit_is_named_with_the_option(tmp_path):
    folder = fill(tmp_path / "assets")
    (folder / "kernel-amd64").write_bytes(b"")
    (folder / "initramfs-metal-amd64.xz").unlink()
    os.mkfifo(folder / "initramfs-metal-amd64.xz")
    (folder / "cmdline-metal-amd64").unlink()
    (folder / "kernel-arm64").mkdir()
    [(option, words)] = problems(folder)
    assert option == OPTION
    for told in (
        "no image for amd64: kernel-amd64 is empty",
        "initramfs-metal-amd64.xz is not a regular file",
        "cmdline-metal-amd64 is missing",
        "no image for arm64: kernel-arm64 is not a regular file",
        "initramfs-metal-arm64.xz is missing",
        "cmdline-metal-arm64 is missing",
        "put the three files of one of them there",
    ):
        assert told in words


@pytest.mark.parametrize(
    ("cmdline", "words"),
    [
        (b"a=1\nb=2\n", "more than one line"),
        (b"a=1 || shell", "end the command"),
        (b"a" * (LONGEST_CMDLINE_BYTES + 1), "more than 2,048 bytes"),
        (b"caf\xe9", "printable ASCII"),
    ],
)
def test_command_line_that_may_not_stand_in_a_script_is_found_at_the_start(tmp_path, cmdline, words):
    [(_, told)] = problems(fill(tmp_path / "assets", cmdline=cmdline))
    assert "cmdline-metal-amd64" in told
    assert words in told


def test_command_line_that_leaves_no_room_for_ours_is_found_at_the_start(tmp_path):
    folder = fill(tmp_path / "assets", cmdline=b"a" * 1_800)
    assert problems(folder) == []
    fill(folder, cmdline=b"a" * 1_960)
    [(_, told)] = problems(folder)
    assert "cmdline-metal-amd64 has 1,960 bytes" in told
    assert "2,047" in told
    fill(folder, "arm64")
    assert problems(folder) == []  # machines of the other architecture can boot


def test_command_line_of_a_boot_is_read_anew_each_time(tmp_path, assets):
    assert assets.complete_cmdline(Arch.AMD64) == "talos.platform=metal\n"
    fill(tmp_path / "assets", cmdline=b"another")
    assert assets.complete_cmdline(Arch.AMD64) == "another"


def test_architecture_that_is_not_there_is_told_with_all_its_files(assets):
    with pytest.raises(AssetsMissing, match=r"for arm64: kernel-arm64 is missing, .*cmdline-metal-arm64 is missing"):
        assets.complete_cmdline(Arch.ARM64)


def test_folder_that_is_gone_says_that_files_are_missing(tmp_path):
    with pytest.raises(AssetsMissing, match="kernel-amd64 is missing"):
        LocalAssets(tmp_path / "gone").complete_cmdline(Arch.AMD64)
