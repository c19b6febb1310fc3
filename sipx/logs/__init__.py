"""The log: what is masked, how a line looks, and the queue that keeps writing off the SIP path.

Whoever logs hands a record to a bounded queue and goes on; one thread writes it to stderr and to
the handlers of plugins. Before it enters the queue a record is made harmless: control characters
are escaped, so that no value can begin a line of its own, credentials are masked and bodies cut
off. When nobody takes the lines away, lines are lost and counted, and SIP goes on.

masking     what a record loses before anybody may read it
bodies      bodies that an exception quotes
queueing    onto the queue
listener    the thread: repeated lines are summed, the last ones kept, handlers called
levels      what is written, area by area, and until when
lines       from a record to text or JSON
process     all of it together, for the process
"""

from __future__ import annotations

from sipx.logs.fields import about
from sipx.logs.levels import LEVELS, ROOT, TRACE, AreaLevel, area_of
from sipx.logs.lines import log_formatter
from sipx.logs.masking import escaped, harmless, masked, said_by, traceback_of
from sipx.logs.process import Logs
from sipx.logs.queueing import QUEUE_SIZE, Queueing
from sipx.logs.recent import KEPT, Follower, Line, Wanted

__all__ = [
    "KEPT",
    "LEVELS",
    "QUEUE_SIZE",
    "ROOT",
    "TRACE",
    "AreaLevel",
    "Follower",
    "Line",
    "Logs",
    "Queueing",
    "Wanted",
    "about",
    "area_of",
    "escaped",
    "harmless",
    "log_formatter",
    "masked",
    "said_by",
    "traceback_of",
]
