"""Hashes of passwords: what is written fits, what is not ours is refused."""

from __future__ import annotations

import pytest
from sipx_monitor.web.passwords import LONGEST, fits, hash_problem, hashed


def test_a_hash_fits_its_password_and_no_other():
    made = hashed("correct horse")
    assert made.startswith("$scrypt$ln=14,r=8,p=5$")
    assert "correct" not in made
    assert hash_problem(made) == ""
    assert fits("correct horse", made)
    assert not fits("correct horsf", made)
    assert not fits("x" * (LONGEST + 1), made)
    assert hashed("correct horse") != made


def test_a_password_may_hold_anything():
    for password in ("pässwörtchen 日本語", "\ud800\x00b"):
        assert fits(password, hashed(password))


SALT, KEY = "A" * 22, "A" * 43


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        "$2b$12$abcdefghijklmnopqrstuv",
        f"$scrypt$ln=30,r=8,p=1${SALT}${KEY}",
        f"$scrypt$ln=20,r=32,p=1${SALT}${KEY}",
        f"$scrypt$ln=1,r=8,p=1${SALT}${KEY}",
        f"$scrypt$ln=14,r=8,p=99${SALT}${KEY}",
        f"$scrypt$ln=14,r=8,p=1${SALT}${KEY}x",
        f"$scrypt$ln=14,r=8,p=1$ä{SALT}${KEY}",
    ],
)
def test_what_is_no_hash_or_costs_too_much(text):
    assert hash_problem(text)
