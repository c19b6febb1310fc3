"""What the author of a plugin needs to test it: peers, servers and fixtures on loopback.

    peer, carriers      user agents over real sockets
    proxy, memory       a real kernel over transports in memory, where time can be made to jump
    plugin              the fixtures of pytest: sipx_proxy, sipx_on_loopback
    contract            what every plugin has to satisfy
    transcript          the transaction machines as conversations, without trio
    dns                 a name server

Import from these modules; nothing is imported here, because pytest loads this package in every
run.
"""
