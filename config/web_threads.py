"""How many threads a web process has, and how many of them downloads may hold."""

from __future__ import annotations

from typing import Final

from config.settings import Settings

# A boot takes about a millisecond, so threads only matter while some wait for the image factory or for Redis, or send
# an iPXE binary over a slow link: firmware that is told to come again by HTTP does not.
FOR_BOOTS: Final = 64
# A machine that loads a local image holds a thread for as long as its link needs.
WITH_IMAGES: Final = 256


def threads(settings: Settings) -> int:
    """The threads of one web process."""
    return WITH_IMAGES if settings.use_local_boot_assets else FOR_BOOTS


def for_downloads(settings: Settings) -> int:
    """How many of them may send files at once: the other half is left for boots, whoever takes files how slowly."""
    return threads(settings) // 2
