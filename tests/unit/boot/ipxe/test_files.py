"""The files that firmware is given, by every name."""

import pytest

from app.boot.ipxe.authority import OPTION
from app.boot.ipxe.files import boot_files, cleaned, say_what_is_not_patched, script_files
from app.errors import StartError
from config.settings import Settings
from tests.unit.boot.ipxe.binaries import content_of, fill, rsa_ca
from tests.unit.tls.certificates import make

NAMES = {
    "undionly.kpxe": "undionly.kpxe",
    "undionly.kpxe.0": "undionly.kpxe",
    "ipxe.efi": "ipxe-amd64.efi",
    "snp.efi": "snponly.efi",
    "ipxe-arm64.efi": "ipxe-arm64.efi",
    "snp-arm64.efi": "ipxe-arm64.efi",
    "amd64/undionly.kpxe": "undionly.kpxe",
    "amd64/undionly.kpxe.0": "undionly.kpxe",
    "amd64/ipxe.efi": "ipxe-amd64.efi",
    "amd64/snp.efi": "snponly.efi",
    "arm64/ipxe.efi": "ipxe-arm64.efi",
    "arm64/snp.efi": "ipxe-arm64.efi",
}
SCRIPTS = {"autoexec.ipxe", "amd64/autoexec.ipxe", "arm64/autoexec.ipxe"}


def settings(**more):
    return Settings(api_advertise_address="10.0.0.1", **more)


def test_debians_files_are_served_by_every_name(tmp_path):
    files = boot_files(settings(ipxe_path=fill(tmp_path)))
    assert files.keys() == NAMES.keys() | SCRIPTS
    assert {name: files[name] for name in NAMES} == {name: content_of(file) for name, file in NAMES.items()}


def test_autoexec_is_the_init_script_of_this_provider():
    for content in script_files(settings()).values():
        assert content.startswith(b"#!ipxe\n")
        assert b"chain --replace http://10.0.0.1:50042/ipxe/boot.ipxe?uuid=${uuid}" in content


def test_own_binaries_are_found_by_the_names_under_which_they_are_served(tmp_path):
    own = ["undionly.kpxe", "ipxe.efi", "snp.efi", "ipxe-arm64.efi", "snp-arm64.efi"]
    files = boot_files(settings(ipxe_path=fill(tmp_path, own)))
    assert {name: files[name] for name in own} == {name: content_of(name) for name in own}
    assert files["arm64/snp.efi"] == content_of("snp-arm64.efi")


def test_own_binaries_are_found_in_folders_of_architectures(tmp_path):
    own = ["undionly.kpxe", "amd64/ipxe.efi", "amd64/snp.efi", "arm64/ipxe.efi", "arm64/snp.efi"]
    files = boot_files(settings(ipxe_path=fill(tmp_path, own)))
    assert {name: files[name] for name in own} == {name: content_of(name) for name in own}
    assert files["snp-arm64.efi"] == content_of("arm64/snp.efi")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("snp.efi", "snp.efi"),
        ("/snp.efi", "snp.efi"),
        ("//snp.efi", "snp.efi"),
        ("./amd64//snp.efi", "amd64/snp.efi"),
        ("../../snp.efi", "snp.efi"),
        ("amd64/../../arm64/snp.efi", "arm64/snp.efi"),
        ("", ""),
        ("..", ""),
    ],
)
def test_name_is_cleaned_and_leads_nowhere_else(asked, found):
    assert cleaned(asked) == found


def test_own_ca_takes_the_place_of_ipxes_root_in_every_efi_file(tmp_path):
    ca = rsa_ca("own")
    path = tmp_path / "ca.pem"
    path.write_bytes(ca.pem)
    chosen = settings(ipxe_path=fill(tmp_path / "ipxe"), tls_custom_ipxe_ca_cert_file=path)
    plain, patched = boot_files(settings(ipxe_path=tmp_path / "ipxe")), boot_files(chosen)
    for name, content in plain.items():
        efi = name.endswith(".efi")
        assert (content != patched[name]) is efi, name
        assert len(content) == len(patched[name])


def test_binary_without_ipxes_root_is_refused_by_name(tmp_path):
    path = tmp_path / "ca.pem"
    path.write_bytes(rsa_ca("own").pem)
    folder = fill(tmp_path / "ipxe")
    (folder / "snponly.efi").write_bytes(b"an old one without https")
    with pytest.raises(StartError, match=r"snponly\.efi holds .* 0 times, not once.*omni-metal ipxe"):
        boot_files(settings(ipxe_path=folder, tls_custom_ipxe_ca_cert_file=path))


def test_ca_that_ipxe_cannot_verify_is_refused_by_name(tmp_path):
    path = tmp_path / "ca.pem"
    path.write_bytes(make("own", ca=True).pem)
    with pytest.raises(StartError, match=rf"--{OPTION}={path}: is not an RSA certificate"):
        boot_files(settings(ipxe_path=fill(tmp_path / "ipxe"), tls_custom_ipxe_ca_cert_file=path))


def test_bios_binary_that_cannot_be_patched_is_said_only_with_a_ca(tmp_path, capsys):
    say_what_is_not_patched(settings())
    assert capsys.readouterr().out == ""
    say_what_is_not_patched(settings(tls_custom_ipxe_ca_cert_file=tmp_path / "ca.pem"))
    assert "ipxe_bios_not_patched" in capsys.readouterr().out
