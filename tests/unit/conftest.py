"""Unit tests open no sockets: whoever tries is told so."""

import socket

import pytest


@pytest.fixture(autouse=True)
def _no_sockets(monkeypatch):
    def refuse(_socket, address):
        raise AssertionError(f"a unit test must open no socket, this one goes for {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "bind", refuse)
