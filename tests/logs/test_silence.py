"""Silence is for those who asked for it."""

from __future__ import annotations

import logging
import threading

from sipx.logs.silence import silent


def test_lines_of_this_thread_are_left_out_and_others_are_written(caplog):
    logger = logging.getLogger("sipx.silence")
    caplog.set_level(logging.INFO)
    with silent("sipx.silence"):
        logger.info("here")
        other = threading.Thread(target=logger.info, args=("there",))
        other.start()
        other.join()
    logger.info("afterwards")
    assert [record.message for record in caplog.records] == ["there", "afterwards"]
    assert logger.filters == []
