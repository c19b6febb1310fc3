"""Passwords as they are kept: hashed by scrypt (RFC 7914), in the notation of PHC strings."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import b64decode, b64encode
from typing import Final

SHORTEST: Final = 10
"""Characters of a password at least."""
LONGEST: Final = 1024
"""Characters of a password at most: what is longer is no password but an attack."""
_LN: Final = 14
_R: Final = 8
_P: Final = 5
"""16 MiB and about a quarter of a second; the memory is what the running proxy can spare."""
_MOST_MEMORY: Final = 64 << 20
_KEY: Final = 32
_PHC: Final = re.compile(
    r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{16,86})\$([A-Za-z0-9+/]{43})\Z"
)


def hashed(password: str) -> str:
    """What is written into the configuration file. Takes a while: call it in a thread."""
    salt = secrets.token_bytes(16)
    key = _derive(password, salt, _LN, _R, _P)
    return f"$scrypt$ln={_LN},r={_R},p={_P}${_text(salt)}${_text(key)}"


def hash_problem(text: str) -> str:
    """What is wrong with a hash, "" if nothing is."""
    found = _PHC.match(text)
    if found is None:
        return "this is no hash of a password"
    ln, r, p = (int(number) for number in found.group(1, 2, 3))
    if not (10 <= ln <= 20 and 1 <= r <= 32 and 1 <= p <= 16) or 128 * r * 2**ln > _MOST_MEMORY:
        return "this hash of a password takes too much memory or time, or too little"
    return ""


def fits(password: str, text: str) -> bool:
    """Whether a password is the one of a hash. Takes a while: call it in a thread."""
    found = _PHC.match(text)
    if found is None or len(password) > LONGEST:
        return False
    ln, r, p = (int(number) for number in found.group(1, 2, 3))
    key = _derive(password, _bytes(found[4]), ln, r, p)
    return hmac.compare_digest(key, _bytes(found[5]))


def _derive(password: str, salt: bytes, ln: int, r: int, p: int) -> bytes:
    memory = 128 * r * (2**ln + p + 2) + 4096
    data = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(data, salt=salt, n=2**ln, r=r, p=p, maxmem=memory, dklen=_KEY)


def _text(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return b64decode(text + "=" * (-len(text) % 4))
