"""sipx: a SIP federation proxy made of plugins. What stands here is all that a plugin may use.

The protocol is in ``sipx.sip``; what tests need is in ``sipx.testing``. A name is imported when it
is first asked for, so that a command that needs little starts fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sipx.accounts import (
        Account,
        UserSet,
        address_of_record,
        pattern_refusal,
    )
    from sipx.addresses import (
        is_private,
        parse_address,
    )
    from sipx.certificates import (
        CertificateError,
    )
    from sipx.cli.command_line import (
        CommandLine,
        command_options,
    )
    from sipx.cli.completion import (
        interface_names,
    )
    from sipx.cli.editing import (
        edit_options,
    )
    from sipx.cli.live import (
        lasting,
        live_options,
        moment,
    )
    from sipx.config.document import (
        Document,
    )
    from sipx.config.domains import (
        ByDomain,
        DomainName,
        DomainPattern,
    )
    from sipx.config.errors import (
        ConfigError,
    )
    from sipx.config.model import (
        KernelConfig,
    )
    from sipx.config.peers import (
        Files,
        Pins,
        listed,
        one_or_more,
    )
    from sipx.config.secrets import (
        Secret,
    )
    from sipx.config.values import (
        Bind,
        DirectoryPath,
        Duration,
        FilePath,
        IPAddress,
        LocalPath,
        PeerPort,
        Port,
        Size,
        refuse,
    )
    from sipx.connections import (
        Connection,
        Listener,
        StreamTransport,
        open_socket,
    )
    from sipx.control.errors import (
        ControlError,
    )
    from sipx.control.explain import (
        ExplainParams,
        Explanation,
    )
    from sipx.control.methods import (
        Caller,
        CallerRole,
        Done,
        Method,
        changing,
    )
    from sipx.cookies import (
        peer_id,
    )
    from sipx.domains import (
        DomainSet,
        DomainTable,
        canonical_domain,
    )
    from sipx.dry_run import (
        DryRun,
        Explained,
        RequestError,
    )
    from sipx.enquiries import (
        Enquiries,
    )
    from sipx.errors import (
        PluginError,
        ReloadError,
        SipxError,
        StartError,
    )
    from sipx.events import (
        Direction,
        Fault,
        ProxyDecision,
        TransactionRecord,
    )
    from sipx.flows import (
        Flow,
        FlowTable,
    )
    from sipx.forking import (
        Branch,
    )
    from sipx.icmp import IcmpReport, take_reports, want_reports
    from sipx.identity import (
        EkuPolicy,
        Examination,
        Partner,
        PeerCertificate,
        Proof,
        by_direct,
        by_hosting,
        by_ms_suffix,
        by_profile,
        by_rfc5922,
        certificate_facts,
        eku_refusal,
        name_refusal,
        proof_of,
        proves,
    )
    from sipx.interfaces import (
        LAN_SIDE,
        Interface,
        Status,
        host_port,
    )
    from sipx.locations import (
        Binding,
        BindingChange,
        LocationStore,
    )
    from sipx.logs import (
        harmless,
        log_formatter,
        masked,
    )
    from sipx.manual import (
        documentation,
    )
    from sipx.plugin import (
        Accept,
        Challenge,
        Check,
        Config,
        ConsolePanel,
        ControlApi,
        Discovered,
        Discovery,
        Finding,
        Fix,
        InterfaceRequest,
        Later,
        LogFiles,
        NextHop,
        Peer,
        PeerRefusedError,
        Proxy,
        Refuse,
        Sender,
        SendError,
        Service,
        Severity,
        Target,
        Targets,
        Verdict,
        hookimpl,
    )
    from sipx.resolver import (
        FEDERATION_SERVICE,
        DnsSettings,
        Hop,
        ResolveError,
        Resolver,
        SrvAnswer,
        SrvRecord,
    )
    from sipx.srv_match import (
        DomainAnswer,
        DomainMatch,
        Here,
        NameMatch,
        SrvMatch,
        SrvMatches,
        domain_answer,
        here_of,
        match_srv,
        srv_matches,
    )
    from sipx.state import replace_file
    from sipx.status import (
        InterfaceSummary,
        ProxyStatus,
        PublicSummary,
    )
    from sipx.streams import (
        READ_SIZE,
        StreamFlow,
    )
    from sipx.tls import (
        Tls,
        TlsError,
        TlsSession,
    )
    from sipx.transport import Bound, Receiver, StreamLimits, Transport
    from sipx.trust import (
        Action,
        Certificate,
        CertificateFault,
        Decision,
        Failure,
        Identity,
        Incoming,
        Lookup,
        Outgoing,
        OutgoingAction,
        OutgoingDecision,
        OutgoingRoute,
        PasswordlessAccount,
        RegistrarAuth,
        Role,
        RouteFacts,
        SenderKind,
        config_refusals,
        decide_incoming,
        decide_outgoing,
        insecure_trust_reason,
    )

_PLACES: Final = {
    "sipx.accounts": "Account UserSet address_of_record pattern_refusal",
    "sipx.addresses": "is_private parse_address",
    "sipx.certificates": "CertificateError",
    "sipx.cli.command_line": "CommandLine command_options",
    "sipx.cli.completion": "interface_names",
    "sipx.cli.editing": "edit_options",
    "sipx.cli.live": "lasting live_options moment",
    "sipx.config.document": "Document",
    "sipx.config.domains": "ByDomain DomainName DomainPattern",
    "sipx.config.errors": "ConfigError",
    "sipx.config.model": "KernelConfig",
    "sipx.config.peers": "Files Pins listed one_or_more",
    "sipx.config.secrets": "Secret",
    "sipx.config.values": (
        "Bind DirectoryPath Duration FilePath IPAddress LocalPath PeerPort Port Size refuse"
    ),
    "sipx.connections": "Connection Listener StreamTransport open_socket",
    "sipx.control.errors": "ControlError",
    "sipx.control.explain": "ExplainParams Explanation",
    "sipx.control.methods": "Caller CallerRole Done Method changing",
    "sipx.cookies": "peer_id",
    "sipx.domains": "DomainSet DomainTable canonical_domain",
    "sipx.dry_run": "DryRun Explained RequestError",
    "sipx.enquiries": "Enquiries",
    "sipx.errors": "PluginError ReloadError SipxError StartError",
    "sipx.events": "Direction Fault ProxyDecision TransactionRecord",
    "sipx.flows": "Flow FlowTable",
    "sipx.forking": "Branch",
    "sipx.icmp": "IcmpReport take_reports want_reports",
    "sipx.identity": (
        "EkuPolicy Examination Partner PeerCertificate Proof by_direct by_hosting "
        "by_ms_suffix by_profile by_rfc5922 certificate_facts eku_refusal name_refusal "
        "proof_of proves"
    ),
    "sipx.interfaces": "Interface LAN_SIDE Status host_port",
    "sipx.locations": "Binding BindingChange LocationStore",
    "sipx.logs": "harmless log_formatter masked",
    "sipx.manual": "documentation",
    "sipx.plugin": (
        "Accept Challenge Check Config ConsolePanel ControlApi Discovered Discovery Finding Fix "
        "InterfaceRequest Later LogFiles NextHop Peer PeerRefusedError Proxy "
        "Refuse SendError Sender Service Severity Target Targets "
        "Verdict hookimpl"
    ),
    "sipx.resolver": "FEDERATION_SERVICE DnsSettings Hop ResolveError Resolver SrvAnswer SrvRecord",
    "sipx.srv_match": (
        "DomainAnswer DomainMatch Here NameMatch SrvMatch SrvMatches domain_answer here_of "
        "match_srv srv_matches"
    ),
    "sipx.state": "replace_file",
    "sipx.status": "InterfaceSummary ProxyStatus PublicSummary",
    "sipx.streams": "READ_SIZE StreamFlow",
    "sipx.tls": "Tls TlsError TlsSession",
    "sipx.transport": "Bound Receiver StreamLimits Transport",
    "sipx.trust": (
        "Action Certificate CertificateFault Decision Failure Identity Incoming Lookup "
        "Outgoing OutgoingAction OutgoingDecision OutgoingRoute PasswordlessAccount "
        "RegistrarAuth Role RouteFacts SenderKind config_refusals decide_incoming "
        "decide_outgoing insecure_trust_reason"
    ),
}
_MODULE_OF: Final = {name: module for module, names in _PLACES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562)."""
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "FEDERATION_SERVICE",
    "LAN_SIDE",
    "READ_SIZE",
    "Accept",
    "Account",
    "Action",
    "Bind",
    "Binding",
    "BindingChange",
    "Bound",
    "Branch",
    "ByDomain",
    "Caller",
    "CallerRole",
    "Certificate",
    "CertificateError",
    "CertificateFault",
    "Challenge",
    "Check",
    "CommandLine",
    "Config",
    "ConfigError",
    "Connection",
    "ConsolePanel",
    "ControlApi",
    "ControlError",
    "Decision",
    "Direction",
    "DirectoryPath",
    "Discovered",
    "Discovery",
    "DnsSettings",
    "Document",
    "DomainAnswer",
    "DomainMatch",
    "DomainName",
    "DomainPattern",
    "DomainSet",
    "DomainTable",
    "Done",
    "DryRun",
    "Duration",
    "EkuPolicy",
    "Enquiries",
    "Examination",
    "ExplainParams",
    "Explained",
    "Explanation",
    "Failure",
    "Fault",
    "FilePath",
    "Files",
    "Finding",
    "Fix",
    "Flow",
    "FlowTable",
    "Here",
    "Hop",
    "IPAddress",
    "IcmpReport",
    "Identity",
    "Incoming",
    "Interface",
    "InterfaceRequest",
    "InterfaceSummary",
    "KernelConfig",
    "Later",
    "Listener",
    "LocalPath",
    "LocationStore",
    "LogFiles",
    "Lookup",
    "Method",
    "NameMatch",
    "NextHop",
    "Outgoing",
    "OutgoingAction",
    "OutgoingDecision",
    "OutgoingRoute",
    "Partner",
    "PasswordlessAccount",
    "Peer",
    "PeerCertificate",
    "PeerPort",
    "PeerRefusedError",
    "Pins",
    "PluginError",
    "Port",
    "Proof",
    "Proxy",
    "ProxyDecision",
    "ProxyStatus",
    "PublicSummary",
    "Receiver",
    "Refuse",
    "RegistrarAuth",
    "ReloadError",
    "RequestError",
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
    "SrvAnswer",
    "SrvMatch",
    "SrvMatches",
    "SrvRecord",
    "StartError",
    "Status",
    "StreamFlow",
    "StreamLimits",
    "StreamTransport",
    "Target",
    "Targets",
    "Tls",
    "TlsError",
    "TlsSession",
    "TransactionRecord",
    "Transport",
    "UserSet",
    "Verdict",
    "address_of_record",
    "by_direct",
    "by_hosting",
    "by_ms_suffix",
    "by_profile",
    "by_rfc5922",
    "canonical_domain",
    "certificate_facts",
    "changing",
    "command_options",
    "config_refusals",
    "decide_incoming",
    "decide_outgoing",
    "documentation",
    "domain_answer",
    "edit_options",
    "eku_refusal",
    "harmless",
    "here_of",
    "hookimpl",
    "host_port",
    "insecure_trust_reason",
    "interface_names",
    "is_private",
    "lasting",
    "listed",
    "live_options",
    "log_formatter",
    "masked",
    "match_srv",
    "moment",
    "name_refusal",
    "one_or_more",
    "open_socket",
    "parse_address",
    "pattern_refusal",
    "peer_id",
    "proof_of",
    "proves",
    "refuse",
    "replace_file",
    "srv_matches",
    "take_reports",
    "want_reports",
]
