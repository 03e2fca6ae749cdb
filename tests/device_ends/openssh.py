"""Fixtures of the SSH transport; a test module names this one in ``pytest_plugins``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from device_ends.sshd import OpensshServer


@pytest.fixture
def openssh(tmp_path_factory, monkeypatch) -> Iterator[OpensshServer]:
    """A server, and its client's home as this process's."""
    pytest.importorskip("asyncssh")
    with OpensshServer(tmp_path_factory.mktemp("openssh")) as server:
        monkeypatch.setenv("HOME", str(server.client.parent))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        yield server
