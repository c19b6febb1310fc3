"""The basic rules of RFC 3261 §25.1 as regular expressions, in the RFC's order and names.

Lower-case names are the texts of rules, to build larger ones from; upper-case names are the same
rules compiled, meant for ``fullmatch``. How they stay linear (SEC-19): every repetition is
possessive (``++``, ``*+``), so that nothing matched is ever given back, and where two choices
can begin alike they differ in the first byte that one of them does not consume.

Bytes above 127 stand in quoted strings and display names only, as in the RFC (UTF8-NONASCII);
their encoding is nobody's business here. Two liberties, both common in the field:

* ``_`` may stand in a host label (names of machines and containers have it);
* an unquoted parameter value of a header may hold every visible ASCII character but the
  separators ``" , ; < >`` and the backslash, where the RFC has only token and host
  (values in Base64 have ``=`` and ``/``).
"""

from __future__ import annotations

import re
from typing import Final

# LWS is SP and HTAB here: folded lines are unfolded before any value is looked at.
lws: Final = rb"[ \t]++"
sws: Final = rb"[ \t]*+"

alphanum: Final = rb"[A-Za-z0-9]"
unreserved_chars: Final = rb"A-Za-z0-9\-_.!~*'()"
escaped: Final = rb"%[0-9A-Fa-f]{2}"

token_chars: Final = rb"-A-Za-z0-9.!%*_+`'~"
token: Final = rb"[" + token_chars + rb"]++"
word: Final = rb"[" + token_chars + rb"()<>:\\\"/\[\]?{}]++"
callid: Final = word + rb"(?:@" + word + rb")?+"

qdtext: Final = rb"[^\"\\\x00-\x08\x0a-\x1f\x7f]"
quoted_pair: Final = rb"\\[^\r\n\x80-\xff]"
quoted_string: Final = rb"\"(?:" + qdtext + rb"++|" + quoted_pair + rb")*+\""

scheme: Final = rb"[A-Za-z][A-Za-z0-9+\-.]*+"

user: Final = rb"(?:[" + unreserved_chars + rb"&=+$,;?/]++|" + escaped + rb")++"
password: Final = rb"(?:[" + unreserved_chars + rb"&=+$,]++|" + escaped + rb")*+"
userinfo: Final = user + rb"(?::" + password + rb")?+@"

domainlabel: Final = rb"[A-Za-z0-9_]++(?:-++[A-Za-z0-9_]++)*+"
toplabel: Final = rb"[A-Za-z][A-Za-z0-9_]*+(?:-++[A-Za-z0-9_]++)*+"
# Not possessive: the last label is given back once, and each label at most once.
hostname: Final = rb"(?:" + domainlabel + rb"\.)*" + toplabel + rb"\.?+"
decimal_octet: Final = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
ipv4address: Final = decimal_octet + rb"(?:\." + decimal_octet + rb"){3}"
# The characters of an address; whether they make one is for `uri.canonical_host` to find out.
ipv6address: Final = rb"[0-9A-Fa-f:.]++"
ipv6reference: Final = rb"\[" + ipv6address + rb"\]"
# What a host can begin and go on with; finer distinctions are made on this part alone.
host_like: Final = rb"(?:" + ipv6reference + rb"|[-A-Za-z0-9._]++)"
port: Final = rb"[0-9]++"

paramchars: Final = rb"(?:[" + unreserved_chars + rb"\[\]/:&+$]++|" + escaped + rb")++"
uri_parameter: Final = rb";" + paramchars + rb"(?:=" + paramchars + rb")?+"
hnv: Final = rb"(?:[" + unreserved_chars + rb"\[\]/?:+$]++|" + escaped + rb")"
uri_header: Final = hnv + rb"++=" + hnv + rb"*+"
uri_headers: Final = uri_header + rb"(?:&" + uri_header + rb")*+"

sip_version: Final = rb"(?i:SIP)/[0-9]++\.[0-9]++"
method: Final = token

gen_value_chars: Final = rb"!#-+\--:=?-\[\]-~"
gen_value: Final = rb"(?:[" + gen_value_chars + rb"]++|" + quoted_string + rb")"
generic_param: Final = (
    sws + rb";" + sws + rb"%b(?:" + sws + rb"=" + sws + rb"%b)?+"
)  # to be filled with the rules for name and value
generic_params: Final = rb"(?:" + generic_param % (token, gen_value) + rb")*+"

TOKEN: Final = re.compile(token)
WORD: Final = re.compile(word)
CALLID: Final = re.compile(callid)
QUOTED_STRING: Final = re.compile(quoted_string)
SCHEME: Final = re.compile(scheme)
USERINFO: Final = re.compile(userinfo)
HOSTNAME: Final = re.compile(hostname)
IPV4ADDRESS: Final = re.compile(ipv4address)
IPV6REFERENCE: Final = re.compile(ipv6reference)
SIP_VERSION: Final = re.compile(sip_version)
METHOD: Final = re.compile(method)
ESCAPED: Final = re.compile(escaped)
# Captures name and value. For ``findall`` on what GENERIC_PARAMS matched and only there: behind
# it, a long run of spaces would be looked at once from each of its ends.
GENERIC_PARAM: Final = re.compile(
    generic_param % (rb"(" + token + rb")", rb"(" + gen_value + rb")")
)
GENERIC_PARAMS: Final = re.compile(generic_params)
