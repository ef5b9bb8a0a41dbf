import asyncio

import pytest

from lab.fetch import Fetched, FetchError
from lab.ipxe import DiskBoot, Interpreter, KernelBoot, ScriptError

SETTINGS = {"uuid": "0000-11", "net0/mac": "02:00:00:00:00:01"}


class Web:
    """Pages that can be fetched; everything else is 404, and `gone` does not answer."""

    def __init__(self, **pages):
        self.pages = {f"http://web/{name}": body for name, body in pages.items()}
        self.asked = []

    async def fetch(self, url):
        self.asked.append(url)
        if url.endswith("/gone"):
            raise FetchError(f"{url}: no answer in 60 s")
        body = self.pages.get(url)
        return Fetched(url, 404, b"not found") if body is None else Fetched(url, 200, body.encode())


def run(script, web=None):
    interpreter = Interpreter((web or Web()).fetch, SETTINGS)
    return asyncio.run(interpreter.run(script))


def test_kernel_initrd_and_boot_give_the_kernel_with_its_arguments():
    web = Web(kernel="KERNEL", initrd="INITRD")

    outcome = run(
        "#!ipxe\n# a comment\n\nimgfree\nkernel http://web/kernel a=1 --b c\ninitrd http://web/initrd\nboot\n", web
    )

    assert outcome == KernelBoot("http://web/kernel", ("a=1", "--b", "c"), b"KERNEL", (b"INITRD",))


def test_settings_are_filled_in_when_a_line_runs():
    web = Web(k="K")

    outcome = run(
        "#!ipxe\nset base http://web\nkernel ${base}/k u=${uuid} m=${net0/mac:hexhyp} n=${unknown}x\nboot", web
    )

    assert outcome.arguments == ("u=0000-11", "m=02:00:00:00:00:01", "n=x")


@pytest.mark.parametrize(("line", "command"), [("exit", "exit"), ("sanboot --no-describe --drive 0x80", "sanboot")])
def test_exit_and_sanboot_hand_over_to_the_disk(line, command):
    assert run(f"#!ipxe\n{line}\n") == DiskBoot(command)


def test_chain_replace_runs_the_other_script_and_never_comes_back():
    web = Web(other="#!ipxe\nexit\n", k="K")

    assert run("#!ipxe\nchain --replace http://web/other\nkernel http://web/k\nboot\n", web) == DiskBoot("exit")
    assert web.asked == ["http://web/other"]


def test_chain_without_replace_comes_back_after_exit():
    web = Web(other="#!ipxe\nexit\n", k="K")

    assert isinstance(run("#!ipxe\nchain http://web/other\nkernel http://web/k\nboot\n", web), KernelBoot)


def test_settings_made_before_a_chain_hold_in_the_other_script():
    web = Web(other="#!ipxe\nkernel http://web/k x=${x}\nboot\n", k="K")

    assert run("#!ipxe\nset x 1 2\nchain --replace http://web/other\n", web).arguments == ("x=1", "2")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("kernel http://web/k\nboot", "no iPXE script"),
        ("#!ipxe\nkernel http://web/k\n", "404"),
        ("#!ipxe\nchain http://web/gone\n", "no answer in 60 s"),
        ("#!ipxe\nboot\n", "no kernel is loaded"),
        ("#!ipxe\nhalt\n", "command not found"),
        ("#!ipxe\nkernel\n", "an argument is missing"),
        ("#!ipxe\nchain --no-such http://web/k\n", "unrecognised option --no-such"),
        ("#!ipxe\necho hello\n", "without booting"),
    ],
)
def test_failed_command_ends_the_script_with_its_reason(script, words):
    with pytest.raises(ScriptError, match=words):
        run(script)


def test_script_that_chains_to_itself_is_ended():
    with pytest.raises(ScriptError, match="too many"):
        run("#!ipxe\nchain http://web/loop\n", Web(loop="#!ipxe\nchain http://web/loop\n"))


def test_failure_is_caught_by_or_and_skips_what_and_joins():
    web = Web(k="K")

    outcome = run("#!ipxe\nchain http://web/no && exit || kernel http://web/k caught\nboot\n", web)

    assert outcome.arguments == ("caught",)


def test_or_after_success_is_skipped():
    web = Web(k="K")

    assert run("#!ipxe\nkernel http://web/k first || exit\nboot\n", web).arguments == ("first",)


def test_imgfree_forgets_what_was_loaded():
    with pytest.raises(ScriptError, match="no kernel is loaded"):
        run("#!ipxe\nkernel http://web/k\nimgfree\nboot\n", Web(k="K"))
