"""The nftables rules of each kind of router.

The names are those of RFC 3489 §5; what Linux does by itself is here too. With the ``dnat`` of the
cones every packet from outside is rewritten before it comes to the forward hook: there ``udp
dport`` is the port of the inside, and ``saddr`` with ``udp sport`` the remote end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WITHOUT_NAT = ("open", "symmetric-firewall", "udp-blocked", "udp-rejected")
CONES = ("full-cone", "restricted-cone", "port-restricted-cone")
KINDS = (
    *WITHOUT_NAT,
    *CONES,
    "symmetric",
    "symmetric-per-address",
    "linux-masquerade",
    "linux-masquerade-input-drop",
)
"""``udp-rejected`` blocks UDP and says so with ICMP; ``symmetric-per-address`` shows each address
outside another one of its own; ``linux-masquerade`` is the one rule that most routers consist of.
"""


@dataclass
class Family:
    """An IP version, ``ip`` or ``ip6``, and the addresses of the lab in it.

    ``bits`` is the length of the prefix outside. ``public`` can change.
    """

    name: str
    public: str
    spare: str
    inside: str
    outside: tuple[str, str]
    bits: int

    @property
    def address_type(self) -> str:
        """What nftables calls the type of an address."""
        return "ipv4_addr" if self.name == "ip" else "ipv6_addr"


def rules(kind: str, family: Family, forward: Sequence[int], *, hairpin: bool) -> str:
    """One table with everything, in the place of the one that was there."""
    ip = family.name
    ports = f"meta l4proto {{ tcp, udp }} th dport {{ {', '.join(map(str, forward))} }}"
    before: list[str] = []
    after: list[str] = []
    passing: list[str] = []
    arriving: list[str] = []
    more = ""
    if forward:
        from_where = "" if hairpin else "iifname wan0 "
        before.append(f"{from_where}{ip} daddr {family.public} {ports} dnat to {family.inside}")
        passing.append(f"iifname wan0 {ports} accept")
        if hairpin:
            passing.append("iifname lan0 oifname lan0 accept")
            after.append("iifname lan0 oifname lan0 masquerade")

    match kind:
        case "symmetric-firewall":
            passing += ["iifname lan0 accept", "ct state established,related accept", "drop"]
        case "udp-blocked":
            passing.append("meta l4proto udp drop")
        case "udp-rejected":
            passing.append("meta l4proto udp reject")
        case "full-cone" | "restricted-cone" | "port-restricted-cone":
            before.append(
                f"iifname wan0 {ip} daddr {family.public} udp dport 1024-65535"
                f" dnat to {family.inside}"
            )
            after.append(f"oifname wan0 snat to {family.public}")
        case "symmetric":
            arriving.append("iifname wan0 meta l4proto udp drop")
            after.append("oifname wan0 masquerade fully-random")
        case "symmetric-per-address":
            arriving.append("iifname wan0 meta l4proto udp drop")
            after.append(f"oifname wan0 {ip} daddr {family.outside[1]} snat to {family.spare}")
            after.append(f"oifname wan0 snat to {family.public}")
        case "linux-masquerade":
            # An unasked-for packet is taken in by the router's own input hook, which leaves a
            # conntrack entry that owns the remote end and the public port: what the inside sends
            # there next cannot keep its port, and looks as if it came from a symmetric NAT.
            after.append("oifname wan0 masquerade")
        case "linux-masquerade-input-drop":
            # Here no entry is left by it, and ports are kept.
            arriving.append("iifname wan0 ct state new drop")
            after.append("oifname wan0 masquerade")

    if kind in CONES[1:]:
        # Who was sent to may answer: the address, or the address and the port.
        with_port = kind == "port-restricted-cone"
        key = f"inet_service . {family.address_type}" + (" . inet_service" if with_port else "")
        to = f"udp sport . {ip} daddr" + (" . udp dport" if with_port else "")
        back = f"udp dport . {ip} saddr" + (" . udp sport" if with_port else "")
        more = f"set opened {{\n type {key}\n flags dynamic,timeout\n timeout 60s\n }}"
        passing += [
            f"iifname lan0 meta l4proto udp update @opened {{ {to} }} accept",
            f"iifname wan0 {back} @opened accept",
            "meta l4proto udp ct state related accept",
            "meta l4proto udp drop",
        ]

    chains = [
        _chain("before", "nat hook prerouting priority dstnat", before),
        _chain("arriving", "filter hook input priority 0", arriving),
        _chain("passing", "filter hook forward priority 0", passing),
        _chain("after", "nat hook postrouting priority srcnat", after),
    ]
    return "\n".join(
        [f"table {ip} lab", f"delete table {ip} lab", f"table {ip} lab {{", more, *chains, "}", ""]
    )


def _chain(name: str, place: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    return "\n".join([f"chain lab_{name} {{", f"type {place}", *lines, "}"])
