"""The configuration file: its text, its meaning, and what is wrong with it."""

from sipx.config.document import Document
from sipx.config.domains import ByDomain, DomainName, DomainPattern
from sipx.config.errors import ConfigError, Problem
from sipx.config.load import Settings, check, load
from sipx.config.machine import machine_addresses
from sipx.config.model import InterfaceConfig, KernelConfig
from sipx.config.schema import json_schema
from sipx.config.secrets import Secret
from sipx.config.values import (
    DirectoryPath,
    Duration,
    FilePath,
    IPAddress,
    LocalPath,
    PeerPort,
    Port,
    Size,
)

__all__ = [
    "ByDomain",
    "ConfigError",
    "DirectoryPath",
    "Document",
    "DomainName",
    "DomainPattern",
    "Duration",
    "FilePath",
    "IPAddress",
    "InterfaceConfig",
    "KernelConfig",
    "LocalPath",
    "PeerPort",
    "Port",
    "Problem",
    "Secret",
    "Settings",
    "Size",
    "check",
    "json_schema",
    "load",
    "machine_addresses",
]
