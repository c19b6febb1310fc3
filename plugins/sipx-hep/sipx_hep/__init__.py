"""Messages go to Homer or sngrep as they pass, by HEP3."""

from sipx_hep.config import HepConfig
from sipx_hep.plugin import Hep

__all__ = ["Hep", "HepConfig"]
