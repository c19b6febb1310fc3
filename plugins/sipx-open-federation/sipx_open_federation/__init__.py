"""Federation with any domain: found by DNS, proven by certificate."""

from sipx_open_federation.config import OpenFederationConfig, PartnerConfig
from sipx_open_federation.plugin import OpenFederation

__all__ = ["OpenFederation", "OpenFederationConfig", "PartnerConfig"]
