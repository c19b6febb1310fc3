"""The pytest plugin of sipx."""
