"""What grpc says of a TLS handshake that failed, in words for an operator."""

from __future__ import annotations

from typing import Final

# As grpc 1.80 to 1.85 and its BoringSSL word it; tests/integration/test_omni_tls.py sees each of them.
_HANDSHAKE: Final = ("handshake failed", "verification check failed")
_REASONS: Final = (
    ("hostname verification", "its certificate is for other names than that of --omni-api-endpoint"),
    ("certificate has expired", "its certificate has expired, or this clock is ahead"),
    ("certificate is not yet valid", "its certificate is not valid yet, or this clock is behind"),
    ("certificate_verify_failed", "its certificate is not signed by an authority that this system trusts"),
    ("wrong_version_number", "what answers there does not speak TLS"),
)


def handshake_words(details: str) -> str:
    """Why TLS was not agreed on with Omni; '' where a call failed for something else.

    Args:
        details: the text of grpc's status UNAVAILABLE.
    """
    lowered = details.lower()
    if not any(mark in lowered for mark in _HANDSHAKE):
        return ""
    return next((words for mark, words in _REASONS if mark in lowered), "no TLS connection could be agreed on")
