import pytest

from app.start_checks import checks_of, problems, problems_of_serving
from config.settings import Settings
from lab.omni.keys import make_key


def _settings(**given):
    return Settings(**{"omni_api_endpoint": "http://omni.test", **given})


def test_key_of_this_provider_is_good():
    assert list(problems(_settings(service_account_key=make_key("bare-metal").variable))) == []


def test_omni_without_tls_needs_no_key():
    assert list(problems(_settings())) == []


def test_omni_with_tls_needs_a_key():
    ((option, said),) = problems(_settings(omni_api_endpoint="https://omni.test"))
    assert option == "service-account-key"
    assert said.startswith("is required for an https:// endpoint; set it to what `omnictl infraprovider create ID`")


def test_key_that_cannot_be_used_is_said():
    ((option, said),) = problems(_settings(service_account_key="canary"))
    assert option == "service-account-key"
    assert "canary" not in said
    assert "copy it anew" in said


def test_key_of_another_provider_is_said():
    ((option, said),) = problems(_settings(service_account_key=make_key("metal-2").variable))
    assert option == "service-account-key"
    assert said == "is the key of the provider 'metal-2', but --id is 'bare-metal'; make both the same"
    assert list(problems(_settings(service_account_key=make_key("metal-2").variable, id="metal-2"))) == []


def test_extra_documents_are_looked_at_where_machines_are_served(tmp_path):
    path = tmp_path / "extra.yaml"
    path.write_text("kind: SideroLinkConfig\n---\nkind: EventSinkConfig\n")
    settings = _settings(extra_machine_config_path=path)
    assert list(problems(settings)) == []
    assert [option for option, _ in problems_of_serving(settings)] == ["extra-machine-config-path"] * 2


@pytest.mark.parametrize("process", ["run", "watcher", "worker-bmc", "worker-poll", "worker-wipe"])
def test_process_that_asks_omni_does_not_start_with_a_key_that_has_expired(process):
    ((option, said),) = checks_of(process)(_with_expired_key())
    assert option == "service-account-key"
    assert said.startswith("the key in it expired at 2023-11-14 22:30 UTC; make another")


@pytest.mark.parametrize("process", ["web", "gateway", "beat", "flower"])
def test_process_that_serves_machines_starts_with_a_key_that_has_expired(process):
    assert list(checks_of(process)(_with_expired_key())) == []


def _with_expired_key():
    return _settings(service_account_key=make_key("bare-metal", created_s=1_700_000_000, life_s=1000).variable)


@pytest.mark.parametrize("process", ["run", "web"])
def test_boot_assets_and_ca_of_ipxe_are_looked_at_where_machines_are_served(tmp_path, process):
    missing = {"boot_assets_path": tmp_path / "assets", "tls_custom_ipxe_ca_cert_file": tmp_path / "ca.pem"}
    settings = _settings(use_local_boot_assets=True, **missing)
    assert [option for option, _ in checks_of(process)(settings)] == [
        "boot-assets-path",
        "tls-custom-ipxe-ca-cert-file",
    ]
    assert list(checks_of("worker-bmc")(settings)) == []
