import base64

import zstandard

from app.boot.inline import inline_config


def test_text_comes_back_and_has_no_character_that_a_command_line_minds():
    text = "kind: SideroLinkConfig\napiUrl: grpc://omni?jointoken=x\n" * 20
    word = inline_config(text)
    packed = base64.b64decode(word, validate=True)
    assert zstandard.ZstdDecompressor().decompress(packed).decode() == text
    assert len(word) < len(text) / 4
    assert not set(word) & set(" \n\"'#$|&")
    assert len(word) % 4 == 0
