# fmt: off
from sipx import Config, hookimpl

class Blocklist:
    """Refuse the requests of evil.example."""
    Config = Config
    def __init__(self, config, proxy):
        self.domains = {b"evil.example"}
    @hookimpl
    def validate_request(self, request):
        if request.from_domain in self.domains:
            return request.reply(403)

# The least that works, as docs/writing-a-plugin.md begins; without types, lines and space.
# ruff: noqa: ANN001, ANN201, ANN204, D100, D102, I001, RET503
