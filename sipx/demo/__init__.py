"""What ``sipx demo`` shows: two domains, a real proxy between them, and their traffic.

people     who is there and what they say
server     the server of one domain, with the presence of its users
scenario   what happens: subscriptions, messages, calls
ledger     what was sent, what arrived at the other side, what was answered
stage      the proxy's configuration, and the run of it all
observer   the plugin that sees the messages pass
rows       how a message looks in one line
view       the terminal
summary    the end
"""
