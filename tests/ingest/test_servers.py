"""The real servers come up, keep their port through an outage, and leave nothing behind."""

import os

import pytest

from tests import servers

STARTS = [servers.mosquitto, servers.influxd, servers.victoria_metrics, servers.prometheus]


@pytest.mark.parametrize("start", STARTS)
def test_a_server_is_up_within_its_block_and_gone_after_it(start):
    with start() as server:
        pid, port = server.pid, server.port
        assert servers.listens(server)
        server.kill()
        assert not servers.listens(server)
        server.start()
        assert server.port == port
        pid = server.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_missing_server_names_the_remedy():
    with pytest.raises(AssertionError, match="make test-setup"):
        servers.program("no-such-server")
