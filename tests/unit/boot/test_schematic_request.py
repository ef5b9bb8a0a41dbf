"""What a factory, or a proxy before it, answers is told without the machine configuration that it may quote."""

import pytest

from app.boot.errors import FactoryRefused
from app.boot.schematic_request import SchematicRequest

SECRET = "KLUv/WQcanary+secret="


@pytest.mark.parametrize(
    "quoted",
    [
        f"talos.config.inline={SECRET}",
        f"talos.config.inline={SECRET.replace('+', '&#43;')}",
        "talos.config.inline\\u003dKLUv/WQcanary\\u002Bsecret\\u003d",
        "talos.config.inline%3DKLUv%2FWQcanary%2Bsecret%3D",
        f"TALOS.CONFIG.INLINE={SECRET}",
    ],
)
def test_machine_configuration_in_an_answer_is_left_out_however_it_is_quoted(quoted):
    with pytest.raises(FactoryRefused) as caught:
        SchematicRequest("http://factory.test")._id(400, f'wrong argument "{quoted}" in the customization')
    assert "secret" not in str(caught.value)
    assert "canary" not in str(caught.value)
    assert str(caught.value).endswith('=[machine configuration]" in the customization')
