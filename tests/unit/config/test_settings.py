import dataclasses
from pathlib import Path

import pytest

from config import settings as under_test
from config.options import OPTIONS, Kind
from config.schema import UNLESS_GIVEN
from config.settings import Settings, SettingsError, load

OMNI = "--omni-api-endpoint=http://omni.test:8080"
HERE = "--api-advertise-address=192.0.2.1"
MINIMAL = (OMNI, HERE)
# One value of each kind that is right and no option's default.
ANOTHER = {
    Kind.TEXT: "other",
    Kind.NAME: "other",
    Kind.NUMBER: "77",
    Kind.PORT: "7777",
    Kind.DURATION: "77m",
    Kind.NETWORKS: "10.1.0.0/16",
    Kind.LABELS: "other=1",
    Kind.PATH: "/other",
    Kind.URL: "http://other.test",
    Kind.OMNI_URL: "https://other.test",
    Kind.REDIS_URL: "redis://other.test:1/2",
    Kind.HOST: "other.test",
    Kind.HOST_PORT: "127.0.0.1:7777",
    Kind.VERSION: "v7.7.7",
}


def another(option):
    if option.kind is Kind.SWITCH:
        return "false" if option.default == "true" else "true"
    if option.kind is Kind.CHOICE:
        return next(choice for choice in option.choices if choice != option.default)
    return ANOTHER[option.kind]


def wrong(*argv, environ=None, **kwargs):
    with pytest.raises(SettingsError) as caught:
        load(argv, environ or {}, **kwargs)
    return str(caught.value)


def test_every_option_has_an_attribute_with_the_default_of_the_table():
    attributes = {field.name: field for field in dataclasses.fields(Settings)}
    assert set(attributes) == {option.attribute for option in OPTIONS.values()} | {"given"}
    made = Settings()
    for option in OPTIONS.values():
        if option.name != "state-dir":
            assert getattr(made, option.attribute) == UNLESS_GIVEN[option.attribute]


@pytest.mark.parametrize(
    ("attribute", "default"),
    [
        ("id", "bare-metal"),
        ("api_port", 50042),
        ("min_reboot_interval_s", 900.0),
        ("agent_mode_talos_version", "v1.13.7"),
        ("agent_call_timeout_s", 30.0),
        ("agent_fast_wipe_timeout_s", 300.0),
        ("agent_zeroes_wipe_timeout_s", 86400.0),
        ("boot_from_disk_method", "ipxe-exit"),
        ("redfish_use_when_available", True),
        ("parked_retry_interval_s", 1800.0),
        ("power_poll_interval_s", 30.0),
        ("operation_attempts", 5),
        ("image_factory_pxe_base_url", "https://pxe.factory.talos.dev"),
    ],
)
def test_defaults_are_those_of_the_provider_that_it_replaces(attribute, default):
    assert getattr(Settings(), attribute) == default


CERTIFICATE = {"OMNI_METAL_TLS_CERT_FILE": "/c", "OMNI_METAL_TLS_KEY_FILE": "/k"}
NEED_EACH_OTHER = dict.fromkeys(("tls-cert-file", "tls-key-file", "tls-ca-cert-file"), CERTIFICATE)


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda o: o.name)
def test_option_is_read_from_the_environment(option, tmp_path):
    value = str(tmp_path / "empty.yaml") if option.name == "config" else option.maximum or another(option)
    (tmp_path / "empty.yaml").touch()
    environ = {"OMNI_ENDPOINT": "http://omni.test", **NEED_EACH_OTHER.get(option.name, {}), option.variable: value}
    found = load([HERE] if option.name != "api-advertise-address" else [], environ)
    assert getattr(found, option.attribute) != UNLESS_GIVEN[option.attribute]
    assert option.name in found.given


def test_command_line_beats_environment_beats_file(tmp_path):
    file = tmp_path / "metal.yaml"
    file.write_text("id: of-file\nprovider-name: of file\nprovider-description: of file\n")
    environ = {"OMNI_METAL_ID": "of-env", "OMNI_METAL_PROVIDER_NAME": "of env", "OMNI_METAL_CONFIG": str(file)}
    found = load([*MINIMAL, "--id=of-line"], environ)
    assert (found.id, found.provider_name, found.provider_description) == ("of-line", "of env", "of file")


def test_file_may_hold_yaml_values(tmp_path):
    file = tmp_path / "metal.yaml"
    file.write_text("api-port: 8080\ndebug: yes\nmachine-labels: {rack: 7, spare: }\napi-token: null\nid: 12\n")
    found = load([*MINIMAL, f"--config={file}"], {})
    assert (found.api_port, found.debug, found.id) == (8080, True, "12")
    assert found.machine_labels == {"rack": "7", "spare": ""}
    assert "api-token" not in found.given


def test_labels_of_the_command_line_are_read():
    assert load([*MINIMAL, "--machine-labels=k=v, k2,k3=a=b"], {}).machine_labels == {"k": "v", "k2": "", "k3": "a=b"}


def test_all_that_is_wrong_is_named_at_once_with_place_and_remedy(tmp_path):
    file = tmp_path / "metal.yaml"
    file.write_text("api-prt: 1\nmin-reboot-interval: 15\n")
    text = wrong(
        "--api-port=99999",
        "--nope",
        HERE,  # a host may have several addresses, or none
        f"--config={file}",
        environ={"OMNI_METAL_DEBUG": "perhaps", "OMNI_METAL_OPERATION_ATTEMPS": "3"},
    )
    assert text.splitlines()[0] == "7 settings are wrong, nothing was started:"
    assert "--api-port=99999 (command line): must be a port" in text
    assert "--nope (command line): no such option" in text
    assert "metal.yaml:api-prt: no such option; did you mean api-port?" in text
    assert "--min-reboot-interval=15 (metal.yaml:min-reboot-interval): must be a duration with its unit" in text
    assert "--debug=perhaps (environment OMNI_METAL_DEBUG): must be true or false" in text
    assert "OMNI_METAL_OPERATION_ATTEMPS (environment): no such option; did you mean" in text
    assert "--omni-api-endpoint: is required; set it, or OMNI_ENDPOINT" in text


def test_variables_that_kubernetes_sets_are_let_be():
    load(MINIMAL, {"OMNI_METAL_PORT": "tcp://10.0.0.1:1", "OMNI_METAL_SERVICE_HOST": "10.0.0.1"})


def test_empty_variable_counts_as_not_set():
    assert load(MINIMAL, {"OMNI_METAL_API_PORT": ""}).api_port == 50042


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--secure-boot-enabled", "--ipmi-pxe-boot-mode=bios"], "--ipmi-pxe-boot-mode uefi"),
        (["--secure-boot-enabled", "--use-local-boot-assets"], "cannot be had with --use-local-boot-assets"),
        (["--tls-cert-file=/c"], "needs --tls-key-file"),
        (["--tls-key-file=/k"], "needs --tls-cert-file"),
        (["--tls-ca-cert-file=/a"], "needs --tls-cert-file"),
        (["--tls-enabled", "--tls-api-port=50042"], "is the port of --api-port"),
        (["--tls-cert-ttl=4m59s"], "must be 5m or more"),
        (["--config-open", "--config-match-address"], "contradicts --config-match-address"),
        (["--flower-password=geheimnisträger"], "must be of ASCII characters"),
        (["--min-reboot-interval=-1s"], "must not be negative"),
        (["--operation-attempts=0"], "must be 1 or more"),
        (["--max-concurrent-wipes=some"], "must be a whole number"),
        (["--boot-from-disk-method=disk"], "must be one of ipxe-exit, http-404, ipxe-sanboot"),
        (["--agent-mode-talos-version=latest"], "such as v1.13.7"),
        (["--machine-labels==v"], "a label has no name"),
        (["--machine-labels=omni.sidero.dev/cluster=x"], "Omni's own"),
        (["--image-factory-base-url=factory.test"], "must be a URL"),
        (["--image-factory-base-url=http://"], "must be a URL"),
        (["--omni-api-endpoint=omni.test:443"], "must be a URL such as https://host:port"),
        (["--omni-api-endpoint=ftp://omni.test"], "must be a URL such as https://host:port"),
        (["--omni-api-endpoint=https://omni.test/api"], "without a path"),
        (["--omni-api-endpoint=https://me@omni.test"], "without login"),
        (["--redis-url=http://x"], "must be redis://"),
        (["--redis-url=redis://x:port"], "is no URL"),
        (["--gateway-listen=:1"], "must be ADDRESS:PORT"),
        (["--gateway-listen=127.0.0.1:0"], "must be ADDRESS:PORT"),
        (["--api-listen-address=http://x"], "without scheme and port"),
        (["--api-listen-address=10.0.0.300"], "must be an address"),
        (["--power-poll-interval=3m"], "must be 2m or less"),
        (["--id=a/b"], "lower-case letters"),
        (["--provider-name=a\nb"], "cannot be printed"),
        (["--config=/nowhere/metal.yaml"], "cannot be read"),
        (["machines"], "machines (command line): no option"),
        (["--debug", "false"], "as in --debug=false"),
    ],
)
def test_wrong_value_is_refused_with_the_remedy(argv, said):
    assert said in wrong(*MINIMAL, *argv)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"- a\n- b\n", "must hold one `option: value` a line"),
        (b"a: [", "is not YAML in line"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"service-account-key: x\n", "set OMNI_SERVICE_ACCOUNT_KEY in the environment instead"),
        (b"config: other.yaml\n", "a file cannot name another file"),
        (b"id: [a, b]\n", "must be a single text"),
        (b"1: 2\n", "metal.yaml:1: no such option"),
    ],
)
def test_wrong_file_is_refused_with_the_remedy(content, said, tmp_path):
    file = tmp_path / "metal.yaml"
    file.write_bytes(content)
    assert said in wrong(*MINIMAL, f"--config={file}")


@pytest.mark.parametrize(
    "given", ["https://omni.test", "http://omni.test:8080/", "grpc://omni.test", "https://[fd00::1]"]
)
def test_omni_is_reached_with_tls_or_without(given):
    assert load([f"--omni-api-endpoint={given}", HERE], {}).omni_api_endpoint == given.rstrip("/")


def test_what_others_find_wrong_is_said_with_the_rest():
    def further(settings):
        yield "id", f"is no good; {settings.api_port} ports"
        yield "service-account-key", "is no key"

    with pytest.raises(SettingsError) as caught:
        load([OMNI, HERE, "--id=bm", "--nope"], {"OMNI_SERVICE_ACCOUNT_KEY": "canary"}, further=further)
    lines = str(caught.value).splitlines()
    assert lines[0] == "3 settings are wrong, nothing was started:"
    assert "  --id=bm (command line): is no good; 50042 ports" in lines
    assert "  OMNI_SERVICE_ACCOUNT_KEY (environment OMNI_SERVICE_ACCOUNT_KEY): is no key" in lines


def test_wildcard_is_refused_as_advertise_address():
    assert "not a wildcard" in wrong(OMNI, "--api-advertise-address=0.0.0.0")


def test_only_routable_address_is_advertised(monkeypatch):
    monkeypatch.setattr(under_test, "routable_addresses", lambda: ["192.0.2.7"])
    assert load([OMNI], {}).api_advertise_address == "192.0.2.7"


def test_several_routable_addresses_are_listed(monkeypatch):
    monkeypatch.setattr(under_test, "routable_addresses", lambda: ["192.0.2.7", "198.51.100.1"])
    text = wrong(OMNI)
    assert "--api-advertise-address" in text
    assert "192.0.2.7, 198.51.100.1" in text


def test_no_routable_address_is_said(monkeypatch):
    monkeypatch.setattr(under_test, "routable_addresses", list)
    assert "was not found" in wrong(OMNI)


def test_command_of_a_person_needs_neither_omni_nor_an_address(monkeypatch):
    monkeypatch.setattr(under_test, "routable_addresses", list)
    assert load(["--state-dir=/s"], {}, client=True).state_dir == Path("/s")


def test_process_that_never_asks_omni_needs_an_address_alone(monkeypatch):
    monkeypatch.setattr(under_test, "routable_addresses", lambda: ["192.0.2.7"])
    assert load([], {}, without_omni=True).api_advertise_address == "192.0.2.7"
    monkeypatch.setattr(under_test, "routable_addresses", list)
    with pytest.raises(under_test.SettingsError) as raised:
        load([], {}, without_omni=True)
    assert "--api-advertise-address" in str(raised.value)
    assert "--omni-api-endpoint" not in str(raised.value)


SECRETS = {"api-token": "sesame-sesame-sesame", "flower-password": "sesame-flower", "redis-url": "redis://:sesame@h/0"}


def test_process_that_never_asks_omni_keeps_no_secret_of_any_place(tmp_path):
    file = tmp_path / "options.yaml"
    file.write_text("".join(f"{name}: {value}\n" for name, value in SECRETS.items()))
    address = "--api-advertise-address=192.0.2.7"
    environ = {OPTIONS[name].variable: value for name, value in SECRETS.items()}
    environ["OMNI_SERVICE_ACCOUNT_KEY"] = "sesame-key"
    line = [f"--{name}={value}" for name, value in SECRETS.items()]
    for settings in (
        load([address, f"--config={file}"], {}, without_omni=True),
        load([address], environ, without_omni=True),
        load([address, *line], {}, without_omni=True),
    ):
        assert "sesame" not in str([getattr(settings, field.name) for field in dataclasses.fields(settings)])
        assert settings.api_advertise_address == "192.0.2.7"


def test_process_that_never_asks_omni_is_told_of_a_secret_that_is_wrong():
    with pytest.raises(under_test.SettingsError, match="--redis-url"):
        load(["--api-advertise-address=192.0.2.7", "--redis-url=nonsense"], {}, without_omni=True)


def test_secrets_are_in_no_message_and_no_repr():
    environ = {"OMNI_SERVICE_ACCOUNT_KEY": "sesame-1"}
    argv = [*MINIMAL, "--api-token=sesame-2", "--redis-url=redis://user:sesame-3@redis.test/0"]
    assert "sesame" not in repr(load(argv, environ))
    text = wrong("--api-token=sesame\n2", "--redis-url=redis://user:sesame-3@redis.test:port", environ=environ)
    assert "sesame" not in text
    assert "--redis-url (command line): is no URL" in text


def test_state_dir_follows_the_environment():
    assert load(MINIMAL, {"XDG_STATE_HOME": "/x"}).state_dir == Path("/x/omni-metal")
    assert load(MINIMAL, {"HOME": "/h"}).state_dir == Path("/h/.local/state/omni-metal")


def test_long_wrong_value_is_cut():
    assert len(wrong(*MINIMAL, "--api-port=" + "9" * 5000)) < 300


def test_examined_settings_name_the_option_of_each_thing_that_is_wrong(tmp_path):
    settings, found = under_test.examine(
        ("--api-port=0", "--nope", f"--config={tmp_path / 'missing'}", "--id=other", HERE),
        {},
        further=lambda _: [("service-account-key", "is torn")],
    )
    assert [wrong.option for wrong in found] == ["", "config", "api-port", "omni-api-endpoint", "service-account-key"]
    assert [wrong.words.partition(":")[0] for wrong in found] == [
        "--nope (command line)",
        f"--config {tmp_path / 'missing'} (command line)",
        "--api-port=0 (command line)",
        "--omni-api-endpoint",
        "OMNI_SERVICE_ACCOUNT_KEY",
    ]
    assert (settings.id, settings.api_port) == ("other", 50042)


def test_examined_settings_that_are_right_have_nothing_wrong():
    settings, found = under_test.examine(MINIMAL, {})
    assert found == ()
    assert settings == load(MINIMAL, {})


def test_folder_of_sockets_is_told_without_being_made(tmp_path):
    folder = under_test.paths.run_dir_path(tmp_path / "state")
    assert not folder.exists()
    assert folder == under_test.paths.run_dir(tmp_path / "state")


@pytest.mark.parametrize("option", ["--omni-api-endpoint", "--image-factory-base-url"])
@pytest.mark.parametrize("url", ["https://me:canary@omni.test", "https://me:can/ary@omni.test", "https://h/?t=canary"])
def test_wrong_url_is_shown_without_the_login_or_query_in_it(option, url):
    text = wrong(f"{option}={url}", HERE, OMNI) if option != "--omni-api-endpoint" else wrong(f"{option}={url}", HERE)
    assert f"{option}=https://" in text
    assert "canary" not in text
    assert "ary@" not in text
