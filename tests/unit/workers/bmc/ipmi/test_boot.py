import pytest

from workers.bmc.ipmi import boot

SHOWN_UEFI, SHOWN_BIOS = bytes([1, 5, 0xA0, 4, 0, 0, 0]), bytes([1, 5, 0x80, 4, 0, 0, 0])


@pytest.mark.parametrize(("mode", "flags"), [("uefi", 0xA0), ("bios", 0x80)])
def test_order_to_boot_from_network_once_has_these_bytes(mode, flags):
    assert boot.once(mode) == bytes([5, flags, 4, 0, 0, 0])


@pytest.mark.parametrize(("shown", "mode"), [(SHOWN_UEFI, "uefi"), (SHOWN_BIOS, "bios")])
def test_order_that_is_shown_as_it_was_sent_differs_in_nothing(shown, mode):
    assert boot.difference(shown, mode) == ""


@pytest.mark.parametrize(
    ("shown", "mode", "words"),
    [
        (SHOWN_BIOS, "uefi", "it shows BIOS"),
        (SHOWN_UEFI, "bios", "it shows UEFI"),
        (bytes([1, 5, 0x20, 4, 0]), "uefi", "it shows no order"),
        (bytes([1, 5, 0xA0, 8, 0]), "uefi", "it shows the disk"),
        (bytes([1, 5, 0xA0, 0x1C, 0]), "uefi", "it shows device 7"),
        (bytes([1, 5, 0xE0, 4, 0]), "uefi", "it shows every boot instead of one"),
        (bytes([1, 0x85, 0xA0, 4, 0]), "uefi", "it shows a parameter that is locked"),
        (bytes([1, 5, 0, 0, 0]), "uefi", "it shows no order, no device, BIOS"),
        (bytes([1, 6, 0xA0, 4, 0]), "uefi", "it answers with something else than boot flags"),
        (bytes([1, 5, 0xA0]), "uefi", "it answers with something else than boot flags"),
        (b"", "uefi", "it answers with something else than boot flags"),
    ],
)
def test_order_that_is_shown_otherwise_is_said_in_words(shown, mode, words):
    assert boot.difference(shown, mode) == words
