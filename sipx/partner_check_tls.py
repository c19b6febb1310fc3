"""Steps of `sipx check partner` that look at the certificate which a partner has shown."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sipx.certificates import CertificateError
from sipx.certificates.chain import until
from sipx.identity import (
    UNREADABLE,
    EkuPolicy,
    Partner,
    PeerCertificate,
    by_profile,
    certificate_facts,
    eku_refusal,
    name_refusal,
    proves,
)
from sipx.tls import TlsError
from sipx.trust import CertificateFault

if TYPE_CHECKING:
    from sipx.kernel import Kernel
    from sipx.partner_check import Found

_PROFILES: Final = ("rfc5922", "ms-suffix", "hosting")
_MAY_GO_ON: Final = ("ok", "warning")


def _leaf(found: Found) -> PeerCertificate | None:
    if found.seen is None:
        return None
    try:
        return certificate_facts(found.seen.chain[0])
    except UNREADABLE:
        return None


def _why_nothing(found: Found) -> str:
    return "there is no connection" if found.reached is None else "it showed no certificate"


def chain_step(kernel: Kernel, found: Found) -> None:
    """Whether the authorities that count for this partner vouch for what it has shown."""
    facts = _leaf(found)
    if found.seen is None or facts is None or found.target is None:
        found.add("chain", "skipped", _why_nothing(found))
        return
    partner = found.target.partner
    if partner is not None and not partner.verify:
        found.add("chain", "warning", "not looked at: the route takes any certificate")
        return
    chain = found.seen.chain
    anybody = _anybody(partner, facts)
    try:
        kernel.tls.examiner.examine(
            chain[0],
            chain[1:],
            accepting=False,
            policy=EkuPolicy.ANY,
            partner=anybody,
            who="it",
        )
    except TlsError as failure:
        if failure.fault is CertificateFault.NO_NAME and proves(anybody, facts) is not None:
            why = "none of the authorities of this partner (ca) vouches for it"
            found.add("chain", "failed", f"{facts.subject}: {why}", "compare the partner's ca")
            return
        if failure.fault is CertificateFault.NO_NAME:
            found.add("chain", "ok", f"{facts.subject}, issued by {facts.issuer}")
            return
        rule = failure.text.rpartition(" did not pass: ")[2]
        found.add("chain", "failed", f"{facts.subject}: {rule}", failure.remedy)
        return
    except CertificateError as error:
        found.add("chain", "failed", error.text, error.remedy)
        return
    now = datetime.fromtimestamp(kernel.wall(), UTC)
    left = until(facts.not_after, now)
    soon = (facts.not_after - now).days < 21
    found.add(
        "chain",
        "warning" if soon else "ok",
        f"{facts.subject}, issued by {facts.issuer}, valid until {facts.not_after:%Y-%m-%d} "
        f"({left}), {len(chain)} certificate{'s' if len(chain) > 1 else ''} sent",
        "its owner has to renew it soon" if soon else "",
    )


def _anybody(partner: Partner | None, facts: PeerCertificate) -> Partner:
    """A partner that has the names of this certificate, so that its chain alone decides."""
    base = partner or Partner("")
    return replace(
        base,
        profiles=("direct",),
        names=facts.ids | facts.wildcards,
        pins=frozenset() if base.ca else base.pins,
        eku=EkuPolicy.ANY,
        allow_wildcard=True,
        discovered=False,
    )


def eku_steps(kernel: Kernel, found: Found) -> None:
    """The extended key usage of both certificates, in both roles."""
    facts = _leaf(found)
    if facts is None or found.target is None or found.interface is None:
        found.add("eku", "skipped", _why_nothing(found))
        return
    partner = found.target.partner
    policy = (partner.eku if partner is not None else None) or EkuPolicy(found.interface.eku)
    for accepting, role in ((False, "when we connect to it"), (True, "when it connects to us")):
        why = eku_refusal(policy, facts.eku, accepting=accepting)
        strict = eku_refusal(EkuPolicy.STRICT, facts.eku, accepting=accepting)
        if why is None:
            note = "" if strict is None else "; strict rules would refuse it"
            found.add("eku", "ok", f"{role}: the policy {policy} takes its certificate{note}")
        else:
            remedy = "it needs another certificate, or another eku_policy for this partner"
            found.add("eku", "warning" if accepting else "failed", f"{role}: {why}", remedy)
    if found.own is not None:
        why = eku_refusal(EkuPolicy.STRICT, found.own.facts.eku, accepting=True)
        if why is not None:
            found.add(
                "eku",
                "ok" if not found.seen or not found.seen.reasons else "warning",
                f"ours, when we connect to it: {why}: a partner with strict rules refuses it",
                "if it does, show it another certificate (client_certificate)",
            )


def identity_steps(kernel: Kernel, domain: str, found: Found) -> None:
    """Each profile by itself, then what they come to."""
    facts = _leaf(found)
    if facts is None or found.target is None:
        plain = found.reached is not None and found.seen is None and not found.by_dns
        if plain and found.reached is not None and found.reached.transport in ("tcp", "udp"):
            text = f"not asked for: the route goes by {found.reached.transport}, by its address"
            found.add("identity", "ok", text)
            return
        found.add("identity", "skipped", _why_nothing(found))
        return
    partner = found.target.partner or Partner("", domain=domain.encode(), profiles=("rfc5922",))
    if not partner.verify:
        found.proven = True
        found.add("identity", "warning", "not asked for: the route takes any certificate")
        return
    proof = proves(partner, facts)
    for profile in dict.fromkeys((*partner.profiles, *(_PROFILES if found.by_dns else ()))):
        if profile not in partner.profiles:
            found.add(profile, "no", "not asked for: it is none of this partner's profiles")
            continue
        by = by_profile(profile, partner, facts)
        if by is not None:
            weak = f", {by.weakness}" if by.weakness else ""
            found.add(profile, "ok", f"the certificate names {_said(by.name)}{weak}")
        else:
            found.add(profile, "no", _why_not(profile, partner, facts))
    chain_passed = any(s.name == "chain" and s.state in _MAY_GO_ON for s in found.steps)
    usable = not any(s.name == "eku" and s.state == "failed" for s in found.steps)
    if proof is None:
        text, _, remedy = name_refusal(partner, facts).partition("; ")
        found.add("identity", "failed", text, remedy)
    elif not (chain_passed and usable):
        text = f"its names would do ({proof.profile}), but the certificate is not believed"
        found.add("identity", "failed", text)
    else:
        found.proven = True
        found.add("identity", "ok", f"proven by {proof.profile}: {_said(proof.name)}")


def _why_not(profile: str, partner: Partner, facts: PeerCertificate) -> str:
    has = ", ".join(_said(name) for name in sorted(facts.ids)[:5]) or "no domain"
    domain = _said(partner.domain)
    if profile == "rfc5922":
        return f"the certificate names {has}, and not {domain} itself"
    if profile == "ms-suffix":
        below = [_said(t) for t in sorted(partner.srv_targets) if t.endswith(b"." + partner.domain)]
        if not below:
            return f"no SRV target lies within {domain}"
        return f"the certificate names {has}, and none of the SRV targets in it: {', '.join(below)}"
    if profile == "hosting":
        if not partner.providers:
            return "no provider is configured"
        known = ", ".join(_said(p) for p in sorted(partner.providers))
        return f"no SRV target that the certificate names belongs to a provider ({known})"
    return name_refusal(partner, facts).partition("; ")[0]


def _said(name: bytes) -> str:
    return name.decode("ascii", "backslashreplace")
