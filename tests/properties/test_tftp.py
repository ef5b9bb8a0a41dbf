"""Whatever comes to the TFTP port, what is sent is ours and within the limits."""

from hypothesis import example, given
from hypothesis import strategies as st

from netboot.tftp.request import LEAST_BLOCK, LONGEST_TIMEOUT_S, MOST_BLOCK, judge
from netboot.tftp.verdict import Ignore, Mode, Refuse, Send

FILES = {"snp.efi": b"x", "amd64/snp.efi": b"y"}

KNOWN = b"snp.efi /../snp.efi octet netascii mail blksize timeout tsize retries 0 -1 9999".split()
WORDS = st.sampled_from([*KNOWN, b""]) | st.binary(max_size=20)
REQUESTS = st.lists(WORDS, max_size=12).map(lambda words: b"\0\1" + b"\0".join(words))
LIKELY = st.lists(WORDS, max_size=10).map(lambda words: b"\0\1snp.efi\0octet\0" + b"\0".join(words))


@given(st.binary(max_size=600) | REQUESTS | LIKELY)
@example(b"")
def test_verdict_of_any_datagram_is_within_the_limits(datagram):
    match judge(datagram, FILES):
        case Send(name, mode, options):
            assert name in FILES
            assert mode in Mode
            values = dict(options)
            assert len(values) == len(options)
            assert values.keys() <= {"blksize", "timeout", "tsize"}
            assert LEAST_BLOCK <= int(values.get("blksize", LEAST_BLOCK)) <= MOST_BLOCK
            assert 1 <= int(values.get("timeout", 1)) <= LONGEST_TIMEOUT_S
        case Refuse() as refused:
            assert refused.packet[:2] == b"\0\5"
            assert len(refused.packet) <= 64
        case Ignore():
            pass
