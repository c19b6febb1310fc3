"""What ``sipx demo`` shows: two domains, a real proxy for each, and their traffic.

people         who is there and what they say
configuration  the files of the two proxies
papers         the certificates of the domains
zone           their records in the DNS
console        the web console of the first proxy, if there is one
stage          the proxies, and the run of it all
server(s)      the UC servers, with the presence of their users
directory      which of them has to get a request
scenario       what happens: subscriptions, messages, calls
outage         a server that is stopped and comes back
stranger       somebody who says that he is somebody else
ledger         what was sent, what arrived at the other side, what was answered
observer       the plugin that sees the messages pass
narrator       what open federation does, in words
states         how the UC servers are
rows           how a message looks in one line
view           the terminal
summary        the end
"""
