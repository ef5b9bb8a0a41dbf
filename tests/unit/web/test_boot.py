"""What firmware is answered: every status and every text."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
import yaml
import zstandard

from app.boot.errors import FactoryRefused, FactoryUnavailable
from app.machine.model import Acceptance
from tests.unit.web.stand_ins import FACTORY_ID, JOIN_TOKEN, MACHINE_ID, OTHER_ID, Site, picture

CHAIN_BASE = f"#!ipxe\nchain --replace https://pxe.factory.talos.dev/pxe/{FACTORY_ID}"


def test_init_script_tries_all_interfaces_and_asks_for_the_boot_script(site: Site) -> None:
    answer = site.get("/ipxe/init.ipxe", "10.0.0.7")
    assert answer.status_code == 200
    assert answer.text.startswith("#!ipxe\n")
    assert (
        "http://10.0.0.1:50042/ipxe/boot.ipxe?uuid=${uuid}&mac=${net${idx}/mac:hexhyp}&domain=${domain}"
        "&hostname=${hostname}&serial=${serial}&arch=${buildarch}" in answer.text
    )


@pytest.mark.parametrize("path", ["/ipxe/init.ipxe", f"/ipxe/boot.ipxe?uuid={MACHINE_ID}", "/ipxe/boot.ipxe"])
def test_every_answer_to_firmware_is_plain_text_with_its_length(site: Site, path: str) -> None:
    answer = site.get(path, "10.0.0.7")
    assert answer.content_type.startswith("text/plain")
    assert answer.headers["Content-Length"] == str(len(answer.data)) != "0"
    assert "Transfer-Encoding" not in answer.headers


def test_unknown_machine_boots_the_agent(site: Site) -> None:
    answer = site.boot(OTHER_ID)
    assert answer.status_code == 200
    assert answer.text == f"{CHAIN_BASE}/v1.13.7/metal-amd64\n"
    schematic = site.factory.asked[0]
    assert "metal.provider.address=10.0.0.1:50042" in schematic.kernel_args
    assert "siderolabs/metal-agent" in schematic.extensions


@pytest.mark.parametrize(
    ("buildarch", "arch"), [("arm64", "arm64"), ("x86_64", "amd64"), ("i386", "amd64"), ("", "amd64")]
)
def test_buildarch_of_ipxe_chooses_the_image(site: Site, buildarch: str, arch: str) -> None:
    assert site.boot(arch=buildarch).text == f"{CHAIN_BASE}/v1.13.7/metal-{arch}\n"


def test_secure_boot_chains_to_the_signed_image(make_site: Callable[..., Site]) -> None:
    assert make_site(secure_boot_enabled=True).boot().text.endswith("/metal-amd64-secureboot\n")


def test_allocated_machine_boots_talos_with_its_extensions(site: Site) -> None:
    site.mirror.machines[MACHINE_ID] = picture(cluster_talos_version="v1.13.2", extensions=("siderolabs/gvisor",))
    assert site.boot().text == f"{CHAIN_BASE}/v1.13.2/metal-amd64\n"
    assert site.factory.asked[0].extensions == ("siderolabs/gvisor",)
    assert not any("metal.provider" in argument for argument in site.factory.asked[0].kernel_args)


@pytest.mark.parametrize(
    ("method", "status", "body"),
    [
        ("ipxe-exit", 200, "#!ipxe\nexit\n"),
        ("http-404", 404, "this machine boots from its disk\n"),
        ("ipxe-sanboot", 200, "#!ipxe\nsanboot --no-describe --drive 0x80\n"),
    ],
)
def test_installed_machine_boots_its_disk_by_the_method_set(
    make_site: Callable[..., Site], method: str, status: int, body: str
) -> None:
    site = make_site(boot_from_disk_method=method)
    site.mirror.machines[MACHINE_ID] = picture(cluster_talos_version="v1.13.2", install_event_id=1)
    answer = site.boot()
    assert (answer.status_code, answer.text) == (status, body)
    assert not site.factory.asked
    assert site.boots.noted == [(MACHINE_ID, "10.0.0.7")]


@pytest.mark.parametrize(
    ("infra", "words"),
    [
        ({"cordoned": True}, "machine is cordoned\n"),
        ({"acceptance_status": Acceptance.REJECTED}, "machine is rejected\n"),
    ],
)
def test_cordoned_or_rejected_machine_gets_404_and_opens_no_window(
    site: Site, infra: dict[str, object], words: str
) -> None:
    site.mirror.machines[MACHINE_ID] = picture(**infra)
    answer = site.boot()
    assert (answer.status_code, answer.text) == (404, words)
    assert not site.boots.noted


def test_missing_uuid_is_400_and_names_it(site: Site) -> None:
    answer = site.get("/ipxe/boot.ipxe?mac=00-11-22-33-44-55", "10.0.0.7")
    assert answer.status_code == 400
    assert "uuid" in answer.text


@pytest.mark.parametrize(
    "junk", ["${uuid}", "4c4c4544", f"{MACHINE_ID}0", "x" * 5000, "4c4c4544-0042-3010-8052-b4c04f4e363g"]
)
def test_junk_uuid_is_400_and_shows_the_value(site: Site, junk: str) -> None:
    answer = site.boot(junk)
    assert answer.status_code == 400
    assert junk[:20] in answer.text
    assert len(answer.text) < 200
    assert not site.boots.noted


def test_control_characters_of_a_junk_uuid_are_not_echoed(site: Site) -> None:
    assert "\x1b" not in site.boot("\x1b[2J\n\nhello").text


def test_uuid_in_capitals_is_the_same_machine(site: Site) -> None:
    site.mirror.machines[MACHINE_ID] = picture(cordoned=True)
    assert site.boot(MACHINE_ID.upper()).text == "machine is cordoned\n"
    site.mirror.machines[MACHINE_ID] = picture()
    site.boot(MACHINE_ID.upper())
    assert site.boots.noted == [(MACHINE_ID, "10.0.0.7")]


def test_incomplete_mirror_holds_boots_back_with_503(site: Site) -> None:
    site.mirror.is_complete = False
    answer = site.boot(OTHER_ID)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "mirror" in answer.text
    assert not site.boots.noted
    assert not site.factory.asked


def test_redis_down_holds_boots_back_with_503(site: Site) -> None:
    site.mirror.error = redis.ConnectionError("connection refused")
    answer = site.boot()
    assert answer.status_code == 503
    assert "Redis" in answer.text
    assert answer.headers["Retry-After"]


@pytest.mark.parametrize(
    ("error", "status", "retry"),
    [
        (FactoryUnavailable("the image factory at http://f did not answer: timed out"), 503, True),
        (FactoryRefused("the image factory at http://f answered 400: no such extension"), 502, False),
    ],
)
def test_factory_failure_is_told_in_words_and_opens_no_window(
    site: Site, error: FactoryRefused | FactoryUnavailable, status: int, retry: bool
) -> None:
    site.factory.error = error
    answer = site.boot()
    assert (answer.status_code, answer.text) == (status, f"{error}\n")
    assert ("Retry-After" in answer.headers) is retry
    assert not site.boots.noted


def test_dangerous_value_is_refused_and_named_in_the_log_only(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.mirror.machines[MACHINE_ID] = picture(extra_kernel_args="quiet ${net0/ip}")
    answer = site.boot()
    assert answer.status_code == 500
    assert "net0" not in answer.text
    logged = capsys.readouterr().out
    assert "${net0/ip}" in logged
    assert MACHINE_ID in logged
    assert not site.boots.noted


def test_unforeseen_error_shows_no_traceback(site: Site) -> None:
    site.mirror.error = ValueError("secret-in-an-error")
    answer = site.boot()
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


def test_head_has_the_length_of_get_and_no_effect(site: Site) -> None:
    url = f"/ipxe/boot.ipxe?uuid={MACHINE_ID}"
    head = site.ask("HEAD", url, "10.0.0.7")
    assert not site.boots.noted
    assert head.status_code == 200
    assert head.data == b""
    assert head.headers["Content-Length"] == site.get(url, "10.0.0.7").headers["Content-Length"]


def test_boot_is_noted_with_the_address_of_the_client(site: Site) -> None:
    site.boot(address="fd00::7")
    assert site.boots.noted == [(MACHINE_ID, "fd00::7")]


def test_boot_from_an_unknown_address_is_answered_and_noted(site: Site) -> None:
    assert site.get(f"/ipxe/boot.ipxe?uuid={MACHINE_ID}", None).status_code == 200
    assert site.boots.noted == [(MACHINE_ID, None)]


def test_boot_decision_is_logged_with_machine_and_mode(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.boot()
    logged = capsys.readouterr().out
    assert "boot_answered" in logged
    assert MACHINE_ID in logged
    assert "agent-pxe" in logged


def test_what_firmware_calls_itself_is_cut_and_cleaned_before_it_is_kept(site: Site) -> None:
    site.boot(mac="00-11-22-33-44-55" * 9, serial="S\n\u00e9\U0001f600" + "1" * 500)
    [named] = site.boots.named
    assert named.mac == ("00-11-22-33-44-55" * 2)[:20]
    assert named.serial == "S" + "1" * 60


def test_head_of_a_boot_that_is_held_back_is_not_counted(site: Site) -> None:
    site.mirror.is_complete = False
    assert site.ask("HEAD", f"/ipxe/boot.ipxe?uuid={MACHINE_ID}", "10.0.0.7").status_code == 503
    assert site.boots.counted == []
    assert site.boot().status_code == 503
    assert site.boots.counted == ["held-back"]


def test_posting_to_the_boot_script_is_not_allowed(site: Site) -> None:
    answer = site.ask("POST", "/ipxe/boot.ipxe", "10.0.0.7")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


def test_configuration_is_served_as_omni_gave_it(site: Site) -> None:
    answer = site.get(f"/config?u={MACHINE_ID.upper()}", "10.0.0.8")
    assert answer.status_code == 200
    assert answer.text == site.mirror.join
    assert yaml.safe_load(answer.text)["kind"] == "SideroLinkConfig"
    assert answer.headers["Content-Length"] == str(len(answer.data))
    assert answer.headers["Cache-Control"] == "no-store"
    assert site.boots.asked == [(MACHINE_ID, "10.0.0.8", False)]


def test_configuration_outside_of_the_window_is_403_counted_and_logged(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.boots.allowed = False
    for _ in range(2):
        answer = site.get(f"/config?u={MACHINE_ID}", "10.0.0.8")
        assert answer.status_code == 403
        assert "30 minutes" in answer.text
    assert list(site.redis.counts.values()) == [2]
    logged = capsys.readouterr().out
    assert "config_refused" in logged
    assert "10.0.0.8" in logged


@pytest.mark.parametrize("query", ["", "?u=", "?u=junk", "?uuid=" + MACHINE_ID])
def test_configuration_without_a_machine_is_403(site: Site, query: str) -> None:
    assert site.get(f"/config{query}", "10.0.0.8").status_code == 403
    assert not site.boots.asked


@pytest.mark.parametrize("open_to_all", [True, False])
def test_what_asks_for_the_configuration_is_cut_and_cleaned_for_the_log(
    make_site: Callable[..., Site], capsys: pytest.CaptureFixture[str], open_to_all: bool
) -> None:
    make_site(config_open=open_to_all).get("/config?u=%1b[2J%0a" + "x" * 5_000, "10.0.0.8")
    said = capsys.readouterr().out
    assert "config_served" in said if open_to_all else "config_refused" in said
    assert "\x1b" not in said and "x" * 65 not in said


def test_configuration_bound_to_the_address_asks_for_it(make_site: Callable[..., Site]) -> None:
    site = make_site(config_match_address=True)
    site.get(f"/config?u={MACHINE_ID}", "10.0.0.8")
    assert site.boots.asked == [(MACHINE_ID, "10.0.0.8", True)]


def test_open_configuration_is_served_to_everyone(make_site: Callable[..., Site]) -> None:
    site = make_site(config_open=True)
    site.boots.allowed = False
    assert site.get("/config", None).status_code == 200


def test_unknown_configuration_is_503_in_words(site: Site) -> None:
    site.mirror.join = None
    answer = site.get(f"/config?u={MACHINE_ID}", "10.0.0.8")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "Omni" in answer.text


def inline_of(site: Site) -> str:
    """The machine configuration in the kernel arguments of the last boot."""
    (value,) = [a for a in site.factory.asked[-1].kernel_args if a.startswith("talos.config.inline=")]
    packed = base64.b64decode(value.partition("=")[2], validate=True)
    return zstandard.ZstdDecompressor().decompress(packed).decode()


@pytest.mark.parametrize("infra", [{}, {"cluster_talos_version": "v1.13.2"}])
def test_boot_with_tls_holds_the_text_that_config_serves(make_site: Callable[..., Site], infra: dict[str, str]) -> None:
    site = make_site(tls_enabled=True)
    site.mirror.machines[MACHINE_ID] = picture(**infra)
    assert site.boot().status_code == 200
    served = site.get(f"/config?u={MACHINE_ID}", "10.0.0.7").text
    assert inline_of(site) == served
    documents = list(yaml.safe_load_all(served))
    assert [document["kind"] for document in documents] == ["SideroLinkConfig", "TrustedRootsConfig"]
    assert documents[1] == {
        "apiVersion": "v1alpha1",
        "kind": "TrustedRootsConfig",
        "name": "infra-provider-ca",
        "certificates": site.mirror.authority,
    }


def test_documents_of_the_operator_stand_behind_all_others_and_in_the_arguments_too(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    path = tmp_path / "extra.yaml"
    path.write_text("---\napiVersion: v1alpha1\nkind: WatchdogTimerConfig\ndevice: /dev/watchdog0\n")
    site = make_site(tls_enabled=True, extra_machine_config_path=path)
    site.boot()
    served = site.get(f"/config?u={MACHINE_ID}", "10.0.0.7").text
    assert inline_of(site) == served
    kinds = [document["kind"] for document in yaml.safe_load_all(served)]
    assert kinds == ["SideroLinkConfig", "TrustedRootsConfig", "WatchdogTimerConfig"]


def test_documents_that_cannot_be_read_hold_the_configuration_back(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    site = make_site(extra_machine_config_path=tmp_path / "none")
    answer = site.get(f"/config?u={MACHINE_ID}", "10.0.0.7")
    assert answer.status_code == 503
    assert "--extra-machine-config-path" in answer.text and str(tmp_path) not in answer.text


def test_new_join_configuration_makes_another_image(make_site: Callable[..., Site]) -> None:
    site = make_site(tls_enabled=True)
    site.boot()
    site.mirror.join = "kind: SideroLinkConfig\napiUrl: grpc://omni?jointoken=another\n"
    site.boot()
    assert site.factory.asked[0] != site.factory.asked[1]
    assert "jointoken=another" in inline_of(site)


@pytest.mark.parametrize(("missing", "words"), [("authority", "certificate authority"), ("join", "configuration")])
def test_boot_with_tls_waits_for_what_it_must_hold(make_site: Callable[..., Site], missing: str, words: str) -> None:
    site = make_site(tls_enabled=True)
    setattr(site.mirror, missing, None)
    answer = site.boot()
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert words in answer.text
    assert site.boots.counted == ["held-back"]
    assert not site.boots.noted
    assert site.get(f"/config?u={MACHINE_ID}", "10.0.0.7").status_code == 503


def test_boot_of_a_disk_with_tls_waits_for_nothing(make_site: Callable[..., Site]) -> None:
    site = make_site(tls_enabled=True)
    site.mirror.authority = site.mirror.join = None
    site.mirror.machines[MACHINE_ID] = picture(cluster_talos_version="v1.13.2", install_event_id=1)
    assert site.boot().text == "#!ipxe\nexit\n"


def test_configuration_without_tls_holds_no_authority(site: Site) -> None:
    assert "TrustedRootsConfig" not in site.get(f"/config?u={MACHINE_ID}", "10.0.0.7").text
    site.boot()
    assert not any("inline" in argument for argument in site.factory.asked[0].kernel_args)


def test_arguments_that_linux_would_cut_are_told_without_quoting_them(
    make_site: Callable[..., Site], capsys: pytest.CaptureFixture[str]
) -> None:
    site = make_site(tls_enabled=True)
    site.boot()
    assert "kernel_arguments_long" not in capsys.readouterr().out
    site.mirror.authority = secrets.token_hex(2_000)
    site.boot()
    said = capsys.readouterr().out
    assert "kernel_arguments_long" in said
    assert inline_of(site) and JOIN_TOKEN not in said and "inline=" not in said


def fill_assets(folder: Path, arch: str = "amd64", cmdline: str = "talos.platform=metal slab_nomerge\n") -> Path:
    folder.mkdir()
    for name, content in (("kernel-{}", "K"), ("initramfs-metal-{}.xz", "I"), ("cmdline-metal-{}", cmdline)):
        (folder / name.format(arch)).write_text(content)
    return folder


def test_agent_mode_is_booted_from_local_assets_and_no_factory_is_asked(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    site = make_site(use_local_boot_assets=True, boot_assets_path=fill_assets(tmp_path / "assets"))
    site.mirror.machines[MACHINE_ID] = picture(extra_kernel_args="debug")
    answer = site.boot()
    assert answer.status_code == 200
    assert answer.text == (
        "#!ipxe\nimgfree\n"
        "kernel http://10.0.0.1:50042/assets/kernel-amd64 talos.platform=metal slab_nomerge "
        "talos.config=http://10.0.0.1:50042/config?u=${uuid} metal.provider.address=10.0.0.1:50042 "
        "console=tty0 console=ttyS0 debug\n"
        "initrd http://10.0.0.1:50042/assets/initramfs-metal-amd64.xz\n"
        "boot\n"
    )
    assert site.factory.asked == []
    assert site.boots.counted == ["agent-pxe"]


@pytest.mark.parametrize(("own_bytes", "told"), [(1_850, False), (1_950, True)])
def test_arguments_of_a_local_image_that_fit_only_without_ours_are_told(
    make_site: Callable[..., Site], tmp_path: Path, capsys: pytest.CaptureFixture[str], own_bytes: int, told: bool
) -> None:
    folder = fill_assets(tmp_path / "assets", cmdline="a" * own_bytes + "\n")
    site = make_site(use_local_boot_assets=True, boot_assets_path=folder)
    [line] = [line for line in site.boot().text.splitlines() if line.startswith("kernel ")]
    arguments = line.split(" ", 2)[2].replace("${uuid}", MACHINE_ID)
    assert (len(arguments) > 2_047) is told
    said = capsys.readouterr().out
    assert ("kernel_arguments_long" in said) is told
    assert not told or str(len(arguments)) in said


def test_every_url_of_a_local_boot_is_served(make_site: Callable[..., Site], tmp_path: Path) -> None:
    site = make_site(use_local_boot_assets=True, boot_assets_path=fill_assets(tmp_path / "assets", "arm64"))
    lines = site.boot(arch="arm64").text.splitlines()
    urls = [word for line in lines for word in line.split()[1:2]]
    assert len(urls) == 2
    for url in urls:
        assert site.get(url.removeprefix("http://10.0.0.1:50042"), "10.0.0.7").status_code == 200


def test_architecture_without_local_assets_is_404_in_words_and_logged(
    make_site: Callable[..., Site], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = make_site(use_local_boot_assets=True, boot_assets_path=fill_assets(tmp_path / "assets"))
    capsys.readouterr()
    answer = site.boot(arch="arm64")
    assert answer.status_code == 404
    assert "no image for arm64: kernel-arm64 is missing" in answer.text
    assert "boot_not_prepared" in capsys.readouterr().out
    assert site.boots.noted == []


def test_command_line_that_could_add_a_command_is_refused_and_named_in_the_log(
    make_site: Callable[..., Site], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fill_assets(tmp_path / "assets", cmdline="a=1 || chain http://evil/")
    site = make_site(use_local_boot_assets=True, boot_assets_path=folder)
    answer = site.boot()
    assert answer.status_code == 500
    assert "evil" not in answer.text
    assert "cmdline-metal-amd64" in capsys.readouterr().out


def test_talos_is_booted_from_the_factory_also_with_local_assets(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    site = make_site(use_local_boot_assets=True, boot_assets_path=fill_assets(tmp_path / "assets"))
    site.mirror.machines[MACHINE_ID] = picture(cluster_talos_version="1.13.7")
    assert site.boot().text == f"{CHAIN_BASE}/1.13.7/metal-amd64\n"
