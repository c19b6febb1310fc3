"""What belongs together: both sides of a request, twins, delays, what comes again."""

from __future__ import annotations

import pytest
from sipx_monitor.traffic.store import Store
from sipx_monitor.traffic.transactions import MOST_KEYS


def test_all_messages_of_an_invite_on_both_sides_are_one_transaction(recorder, lines):
    call = recorder.call()
    assert len({message.transaction.id for message in call[:7]}) == 1
    assert len({message.transaction.id for message in call[7:]}) == 1
    assert call[7].transaction is not call[0].transaction  # §17: the ACK of a 2xx is its own


def test_twins_are_the_same_message_on_the_other_side(recorder):
    call = recorder.call()
    invite, trying, forwarded, ringing, rang, ok, sent, ack, acked = call
    assert (invite.twin, forwarded.twin) == (forwarded.seq, invite.seq)
    assert (ringing.twin, rang.twin) == (rang.seq, ringing.seq)
    assert (ok.twin, sent.twin) == (sent.seq, ok.seq)
    assert (ack.twin, acked.twin) == (acked.seq, ack.seq)
    assert trying.twin == 0  # a 100 is the proxy's own


def test_the_delay_is_measured_on_each_side(recorder):
    call = recorder.call()
    assert call[5].rtt == pytest.approx(0.03)  # 200 in, since the INVITE left
    assert call[6].rtt == pytest.approx(0.06)  # 200 out, since it came
    assert call[3].rtt is None  # no final response


def test_forked_branches_belong_to_the_request_that_came_in(recorder, lines):
    came = recorder.add(lines.request(branch="a1"))
    for name in ("p1", "p2"):
        left = recorder.add(lines.request(branch=name, below="a1"), inwards=False)
        assert left.transaction is came.transaction
        assert left.twin == came.seq
    assert came.twin == 2  # the first that left
    busy = recorder.add(lines.response(486, "Busy", branch="p2", to_tag="t2"))
    fine = recorder.add(lines.response(200, branch="p1", to_tag="t1"))
    sent = recorder.add(lines.response(200, branch="a1", to_tag="t1"), inwards=False)
    assert (busy.transaction, fine.transaction) == (came.transaction, came.transaction)
    assert (sent.twin, busy.twin) == (fine.seq, 0)


def test_a_changed_status_still_has_its_twin_by_the_tag(recorder, lines):
    recorder.add(lines.request(branch="a1"))
    recorder.add(lines.request(branch="p1", below="a1"), inwards=False)
    came = recorder.add(lines.response(503, "No", branch="p1", to_tag="t9"))
    left = recorder.add(lines.response(500, "No", branch="a1", to_tag="t9"), inwards=False)
    assert left.twin == came.seq


def test_what_passes_again_is_a_retransmission_and_keeps_its_transaction(recorder, lines):
    first = recorder.add(lines.request("MESSAGE"))
    again = recorder.add(lines.request("MESSAGE"))
    assert (first.retransmission, again.retransmission) == (False, True)
    assert again.transaction is first.transaction
    ringing = [recorder.add(lines.response(180, "Ringing", branch="a1")) for _ in range(2)]
    assert [message.retransmission for message in ringing] == [False, True]
    # Another 180 of the same branch is news.
    other = recorder.add(lines.response(180, "Queued", branch="a1", headers=("RSeq: 2",)))
    assert not other.retransmission


def test_a_cancel_of_ours_belongs_to_the_cancel_that_came(recorder, lines):
    recorder.add(lines.request(branch="a1"))
    recorder.add(lines.request(branch="p1", below="a1"), inwards=False)
    came = recorder.add(lines.request("CANCEL", branch="a1"))
    left = recorder.add(lines.request("CANCEL", branch="p1"), inwards=False)
    assert left.transaction is came.transaction
    assert left.twin == came.seq


def test_the_ack_of_a_refusal_is_part_of_the_invite(recorder, lines):
    invite = recorder.add(lines.request(branch="a1"))
    recorder.add(lines.response(486, "Busy", branch="a1"), inwards=False)
    assert recorder.add(lines.request("ACK", branch="a1")).transaction is invite.transaction


def test_a_spiral_is_another_transaction(recorder, lines):
    first = recorder.add(lines.request(branch="a1"))
    recorder.add(lines.request(branch="p1", below="a1"), inwards=False)
    spiral = recorder.add(lines.request(branch="p1", below="a1"))
    assert spiral.transaction is not first.transaction
    assert not spiral.retransmission


def test_a_message_without_a_via_belongs_to_nothing(recorder):
    message = recorder.add(("OPTIONS sip:a SIP/2.0", ["Call-ID: x"]))
    assert message.transaction is None
    assert message.fault == "without a usable Via and From and To and CSeq"


def test_transactions_are_forgotten_with_their_last_message(recorder):
    for number in range(300):
        recorder.call(number)
    store = recorder.store
    assert len(store) == 1000
    kept = {message.transaction.id for message in store.between(store.first, store.last)}
    assert len(store.transactions) == len(kept)
    assert len(store.transactions._by_key) <= 4 * len(kept)
    store.clear()
    assert len(store.transactions) == len(store.transactions._by_key) == len(store.dialogs) == 0


def test_a_transaction_is_found_by_its_id_and_by_any_branch(recorder):
    found = recorder.call()[0].transaction
    transactions = recorder.store.transactions
    for name in (found.id, "z9hG4bKa1", "z9hG4bKp1"):
        assert transactions.get(name) is found
    assert transactions.get("z9hG4bKx") is None


def test_one_branch_for_days_takes_no_more_memory_than_is_kept(recorder, lines):
    """As of a client that never changes it: its transaction never ends."""
    recorder.store = Store(20, 10_000_000, "all")
    for number in range(500):
        came = recorder.add(lines.request("OPTIONS", branch="same", cseq=number))
        left = recorder.add(
            lines.request("OPTIONS", branch=f"p{number}", below="same", cseq=number), inwards=False
        )
        recorder.add(lines.response(200, method="OPTIONS", branch=f"p{number}", below="same"))
        assert left.transaction is came.transaction
    transactions = recorder.store.transactions
    assert len(transactions) == 1
    assert len(came.transaction.seqs) == 20
    assert len(came.transaction.keys) <= MOST_KEYS
    assert len(transactions._by_key) <= MOST_KEYS
    last = recorder.add(lines.response(200, method="OPTIONS", branch="same"), inwards=False)
    assert last.twin == came.seq + 2
    for number in range(20):
        recorder.add(lines.request("MESSAGE", branch=f"other{number}"))
    assert len(transactions._by_key) == 20
