import pytest

from workers.bmc.ipmi.device import described
from workers.bmc.known import BmcKind, Known


def device_id(vendor, product=0x0C57, firmware=(0x81, 0x73)):
    return bytes([0x20, 1, *firmware, 2, 0xBF, *vendor.to_bytes(3, "little"), *product.to_bytes(2, "little")])


@pytest.mark.parametrize(
    ("number", "vendor"),
    [(10876, "Supermicro"), (674, "Dell"), (47196, "HPE"), (0xF02A7C, "Supermicro"), (4753, "IANA 4753"), (0, "")],
)
def test_vendor_is_named_by_its_number(number, vendor):
    assert described(device_id(number)).vendor == vendor


def test_device_id_tells_product_and_firmware():
    known = described(device_id(343) + bytes(4))
    assert (known.kind, known.model, known.firmware) == (BmcKind.IPMI, "product 0x0c57", "1.73")


@pytest.mark.parametrize("length", [0, 10])
def test_device_id_that_is_cut_short_tells_nothing(length):
    assert described(device_id(343)[:length]) == Known(BmcKind.IPMI)
