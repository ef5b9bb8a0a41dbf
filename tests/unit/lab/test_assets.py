import json

from app.boot.assets import LocalAssets
from app.machine.boot import Arch
from lab.assets import assets_options
from lab.firmware import AGENT_EXTENSION


def test_files_are_complete_and_hold_an_agent(tmp_path):
    folder = tmp_path / "assets"
    assert assets_options(["--use-local-boot-assets"], folder, "v1.13.7") == [f"--boot-assets-path={folder}"]
    assert [LocalAssets(folder).problem(arch) for arch in Arch] == ["", ""]
    told = json.loads((folder / "initramfs-metal-arm64.xz").read_text())
    assert told == {"talos_version": "v1.13.7", "extensions": [AGENT_EXTENSION]}


def test_nothing_is_written_for_a_provider_that_has_its_own_or_wants_none(tmp_path):
    for passed_on in ([], ["--use-local-boot-assets", "--boot-assets-path=/srv/assets"]):
        assert assets_options(passed_on, tmp_path / "assets", "v1.13.7") == []
    assert not (tmp_path / "assets").exists()
