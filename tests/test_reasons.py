"""The words of counters."""

import re

import pytest

from sipx.reasons import METHODS, OTHER_METHOD, Drop, Refusal, TurnedAway


@pytest.mark.parametrize("words", [Refusal, Drop, TurnedAway])
def test_words_are_labels_that_need_no_escaping_and_are_few(words):
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", word) for word in words)
    assert len(words) <= 24


def test_the_word_for_all_other_methods_is_no_method_of_the_list():
    assert OTHER_METHOD not in METHODS
    assert all(method.isupper() for method in METHODS)
