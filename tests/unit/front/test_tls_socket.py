"""What the splice is told where OpenSSL has to wait; real connections are in the integration tests."""

import ssl

import pytest

from app.front.tls_socket import TlsSocket


@pytest.fixture
def client(monkeypatch):
    """A socket whose OpenSSL raises what the test says."""

    class Raising:
        error = None

        def __call__(self, *_):
            raise self.error

    raising = Raising()
    for name in ("recv", "recv_into", "send"):
        monkeypatch.setattr(ssl.SSLSocket, name, raising)
    sock = TlsSocket.__new__(TlsSocket)
    sock.raising = raising
    return sock


@pytest.mark.parametrize("read", [lambda s: s.recv(9), lambda s: s.recv_into(bytearray(9))])
def test_nothing_to_read_yet_is_told_as_by_a_bare_socket(client, read):
    client.raising.error = ssl.SSLWantReadError()
    with pytest.raises(BlockingIOError):
        read(client)


@pytest.mark.parametrize("read", [lambda s: s.recv(9), lambda s: s.recv_into(bytearray(9))])
def test_client_that_wants_an_answer_but_takes_none_is_given_up(client, read):
    client.raising.error = ssl.SSLWantWriteError()
    with pytest.raises(ConnectionResetError):
        read(client)


def test_no_room_to_send_is_told_as_by_a_bare_socket(client):
    client.raising.error = ssl.SSLWantWriteError()
    with pytest.raises(BlockingIOError):
        client.send(b"x")
