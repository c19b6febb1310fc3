"""A name server in one file, to try open federation with: it answers what a zone file says.

    python3 dns_server.py zone 127.0.3.1 5300

The file has one record on each line, ``name type data``, as in RFC 1035 without class and TTL. It
is read again for each question, so that a change of it is a change of the DNS. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import socket
import sys
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.zonefile

TTL = 300
"""Seconds for which whoever asks may keep an answer."""


def answer(question: bytes, zone: str) -> bytes:
    """The answer to one question, both as they travel."""
    query = dns.message.from_wire(question)
    asked = query.question[0]
    response = dns.message.make_response(query, recursion_available=True)
    records = dns.zonefile.read_rrsets(zone, default_ttl=TTL, origin=dns.name.root)
    response.answer = [r for r in records if (r.name, r.rdtype) == (asked.name, asked.rdtype)]
    if not any(record.name.is_subdomain(asked.name) for record in records):
        response.set_rcode(dns.rcode.NXDOMAIN)
    return response.to_wire()


def main() -> int:
    """Read the command line, and answer until Ctrl-C."""
    parser = argparse.ArgumentParser(description="A name server to try open federation with.")
    parser.add_argument("zone", type=Path, help="the file with the records")
    parser.add_argument("address", help="where to listen")
    parser.add_argument("port", type=int)
    given = parser.parse_args()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((given.address, given.port))
        print(f"answering on {given.address} port {given.port}", flush=True)
        try:
            while True:
                question, sender = sock.recvfrom(4096)
                sock.sendto(answer(question, given.zone.read_text()), sender)
        except KeyboardInterrupt:
            return 0


if __name__ == "__main__":
    sys.exit(main())
