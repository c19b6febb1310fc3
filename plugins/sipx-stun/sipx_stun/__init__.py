"""The public address and the NAT in front of this machine, found by STUN (RFC 8489, RFC 5780).

codec         bytes to messages and back; the answer to a Binding request
transaction   when a request is sent again, and what counts as its answer
behaviour     which tests are made, and what their outcomes say of the NAT
servers       how servers are written, and where they are
sockets       a UDP socket, and what ICMP says
client        the address, and the tests, over sockets
agreement     when a found address counts: two runs have to agree
detection     the service: when it is asked, and what comes of it
records       the SRV records of our domains beside it
kept, state   what survives a restart, and what is shown
commands      ``sipx stun``; checks and control beside it
testing       a server with two addresses and two ports, for tests
"""
