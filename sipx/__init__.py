"""sipx: a SIP federation proxy made of plugins. What stands here is all that a plugin may use.

The protocol is in ``sipx.sip``; what tests need is in ``sipx.testing``.
"""

from sipx.config.domains import ByDomain, DomainName, DomainPattern
from sipx.config.model import KernelConfig
from sipx.config.secrets import Secret
from sipx.config.values import (
    DirectoryPath,
    Duration,
    FilePath,
    IPAddress,
    PeerPort,
    Port,
    Size,
    refuse,
)
from sipx.domains import DomainSet, DomainTable
from sipx.errors import PluginError, SipxError, StartError
from sipx.events import Direction, Fault, TransactionRecord
from sipx.flows import Flow, FlowTable
from sipx.forking import Branch
from sipx.interfaces import Interface, Status
from sipx.plugin import (
    Accept,
    Challenge,
    Check,
    Config,
    Discovery,
    Finding,
    InterfaceRequest,
    Later,
    LocationStore,
    NextHop,
    Peer,
    Proxy,
    Receiver,
    Refuse,
    Sender,
    SendError,
    Service,
    Severity,
    StreamLimits,
    Target,
    Targets,
    Transport,
    Verdict,
    hookimpl,
)
from sipx.addresses import is_private, parse_address
from sipx.resolver import Hop, ResolveError, Resolver
from sipx.streams import READ_SIZE, StreamFlow
from sipx.trust import (
    Action,
    Certificate,
    Incoming,
    Role,
    RouteFacts,
    SenderKind,
    config_refusals,
    decide_incoming,
)

__all__ = [
    "READ_SIZE",
    "Accept",
    "Action",
    "Branch",
    "ByDomain",
    "Certificate",
    "Challenge",
    "Check",
    "Config",
    "Direction",
    "DirectoryPath",
    "Discovery",
    "DomainName",
    "DomainPattern",
    "DomainSet",
    "DomainTable",
    "Duration",
    "Fault",
    "FilePath",
    "Finding",
    "Flow",
    "FlowTable",
    "Hop",
    "IPAddress",
    "Incoming",
    "Interface",
    "InterfaceRequest",
    "KernelConfig",
    "Later",
    "LocationStore",
    "NextHop",
    "Peer",
    "PeerPort",
    "PluginError",
    "Port",
    "Proxy",
    "Receiver",
    "Refuse",
    "ResolveError",
    "Resolver",
    "Role",
    "RouteFacts",
    "Secret",
    "SendError",
    "Sender",
    "SenderKind",
    "Service",
    "Severity",
    "SipxError",
    "Size",
    "StartError",
    "Status",
    "StreamFlow",
    "StreamLimits",
    "Target",
    "Targets",
    "TransactionRecord",
    "Transport",
    "Verdict",
    "config_refusals",
    "decide_incoming",
    "hookimpl",
    "is_private",
    "parse_address",
    "refuse",
]
