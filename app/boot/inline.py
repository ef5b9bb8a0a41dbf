"""The machine configuration as it stands in the kernel argument `talos.config.inline`."""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import Final

import zstandard

# The kernel keeps few bytes of a command line, so every one counts; it is done once for each configuration.
LEVEL: Final = 19


@lru_cache(maxsize=4)
def inline_config(text: str) -> str:
    """The same text, one zstd frame in base64 with padding. It holds the join token: it is no word for a log."""
    return base64.b64encode(zstandard.ZstdCompressor(level=LEVEL).compress(text.encode())).decode()
