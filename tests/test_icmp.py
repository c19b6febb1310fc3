"""What ICMP says of datagrams, from a real closed port on loopback."""

import errno
import select
import socket
import sys

import pytest

from sipx.icmp import IcmpReport, take_reports, want_reports

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux keeps what ICMP says for a datagram socket"
)


def closed_port(family, host):
    with socket.socket(family, socket.SOCK_DGRAM) as gone:
        gone.bind((host, 0))
        return gone.getsockname()[1]


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_a_port_where_nobody_listens_is_reported_with_who_says_so(family, host):
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind((host, 0))
        except OSError:
            pytest.skip(f"this machine has no {host}")
        sock.setblocking(False)
        want_reports(sock)
        assert take_reports(sock) is None
        port = closed_port(family, host)
        sock.sendto(b"x", (host, port))
        poll = select.poll()
        poll.register(sock, select.POLLERR)
        assert poll.poll(10_000)
        assert take_reports(sock) == [IcmpReport(errno.ECONNREFUSED, (host, port), host)]
        assert take_reports(sock) is None
