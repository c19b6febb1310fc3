"""The registrar: who is where, and which UC server a user's requests go to."""

from sipx_registrar.config import RegistrarConfig
from sipx_registrar.plugin import Registrar

__all__ = ["Registrar", "RegistrarConfig"]
