"""What the author of a plugin needs to test it: peers, servers and fixtures on loopback."""
