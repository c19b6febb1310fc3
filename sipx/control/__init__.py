"""The control API: what can be asked of a running proxy, and its Unix socket.

A method is a typed function (`methods`); all of them are an `Api` (`api`), which the command line
reaches over a Unix socket (`server`, `client`), and every other face by calling the same object.
"""
