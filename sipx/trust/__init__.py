"""Trust: the decision tables of docs/trust.md as pure functions."""

from __future__ import annotations

from sipx.trust.incoming import MAX_FAILURES, decide_incoming
from sipx.trust.outgoing import (
    Failure,
    Lookup,
    Outgoing,
    OutgoingAction,
    OutgoingDecision,
    OutgoingRoute,
    Owner,
    decide_outgoing,
)
from sipx.trust.rules import (
    FEDERATION_METHODS,
    account_refusal,
    allowed_methods,
    config_refusals,
    identity_headers_kept,
    insecure_trust_reason,
    method_refusal,
    relay_refusal,
)
from sipx.trust.terms import (
    Action,
    Certificate,
    CertificateFault,
    Decision,
    Dialog,
    Identity,
    Incoming,
    PasswordlessAccount,
    RegistrarAuth,
    Role,
    RouteFacts,
    SenderKind,
    dialog_standing,
)

__all__ = [
    "FEDERATION_METHODS",
    "MAX_FAILURES",
    "Action",
    "Certificate",
    "CertificateFault",
    "Decision",
    "Dialog",
    "Failure",
    "Identity",
    "Incoming",
    "Lookup",
    "Outgoing",
    "OutgoingAction",
    "OutgoingDecision",
    "OutgoingRoute",
    "Owner",
    "PasswordlessAccount",
    "RegistrarAuth",
    "Role",
    "RouteFacts",
    "SenderKind",
    "account_refusal",
    "allowed_methods",
    "config_refusals",
    "decide_incoming",
    "decide_outgoing",
    "dialog_standing",
    "identity_headers_kept",
    "insecure_trust_reason",
    "method_refusal",
    "relay_refusal",
]
