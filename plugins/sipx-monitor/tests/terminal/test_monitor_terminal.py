"""``sipx monitor`` on a terminal, as somebody sits before it, while sipx goes and comes back."""

from __future__ import annotations

import base64
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import contextmanager

PATIENCE = 30.0
_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[=>()].?)")
_COPY = re.compile(r"\x1b\]52;c;([^\x07]*)\x07")

# Ctrl-C is a signal only for whom the terminal controls.
_WITH_KEYBOARD = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "sipx", *sys.argv[1:]])
"""


class Terminal:
    """What a command writes to a terminal, and its keyboard."""

    def __init__(self, fd, process):
        self.fd = fd
        self.process = process
        self.raw = ""
        self._seen = self._copies = 0

    def press(self, keys):
        os.write(self.fd, keys.encode())

    def wait_for(self, *texts):
        """Wait until each was shown since the last wait; all that was."""
        until = time.monotonic() + PATIENCE
        while True:
            shown = _SEQUENCE.sub("", self.raw[self._seen :])
            if all(text in shown for text in texts):
                self._seen = len(self.raw)
                return shown
            assert self._read(until), f"{texts} not in {shown[-3000:]!r}"

    def copied(self):
        """Wait for what goes into the clipboard next."""
        until = time.monotonic() + PATIENCE
        while len(found := _COPY.findall(self.raw)) <= self._copies:
            assert self._read(until)
        self._copies += 1
        return base64.b64decode(found[self._copies - 1]).decode()

    def _read(self, until):
        if not select.select([self.fd], [], [], max(0, until - time.monotonic()))[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # EIO: nobody writes any more
            return False
        self.raw += data.decode("utf-8", "replace")
        return bool(data)

    def ended(self):
        """The exit code, and all that was shown."""
        until = time.monotonic() + PATIENCE
        while self._read(until):
            pass
        return self.process.wait(PATIENCE), _SEQUENCE.sub("", self.raw)


@contextmanager
def terminal(*words, columns=120, rows=30, **environment):
    """``sipx`` on a terminal of that size."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    command = [sys.executable, "-c", _WITH_KEYBOARD, *words]
    known = {**os.environ, "TERM": "xterm-256color", **environment}
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=known, start_new_session=True
    ) as process:
        os.close(theirs)
        try:
            yield Terminal(ours, process)
        finally:
            process.kill()
            os.close(ours)


def test_it_says_that_sipx_is_gone_and_goes_on_when_it_is_back(own_service):
    service = own_service
    before = service.message()
    with terminal("monitor", "--socket", str(service.socket)) as screen:
        screen.wait_for("4 messages", "following")
        service.end(signal.SIGKILL)
        screen.wait_for("no link, trying again in ")
        screen.press("k")  # a message of the process that is no more
        service.start()
        screen.wait_for("sipx was started anew: the numbers begin again")
        after = service.message()
        screen.wait_for("8 messages")
        screen.press("t")
        screen.wait_for("it does not have the message any more")
        screen.press("Y")
        assert screen.copied() == before
        screen.press("GY")
        assert screen.copied() == after
        screen.press("y")
        assert screen.copied().startswith("SIP/2.0 200 OK\nVia: ")
        screen.wait_for("copied: the text of message 4")
        screen.press("q")
        assert screen.ended()[0] == 0


def test_lines_go_on_as_well(own_service):
    service = own_service
    call_id = service.message()
    words = ("monitor", "--plain", "--socket", str(service.socket))
    with terminal(*words, columns=300) as screen:
        screen.wait_for("200 OK (MESSAGE)")
        service.end()
        shown = screen.wait_for("; trying again, Ctrl-C ends it")
        assert call_id not in shown
        service.start()
        service.message()
        screen.wait_for("sipx is there again; sipx was started anew", "200 OK (MESSAGE)")
        screen.press("\x03")
        code, shown = screen.ended()
        assert code == 0
        assert "Traceback" not in shown


def test_ctrl_c_ends_the_view_and_leaves_the_terminal_as_it_was(service):
    words = ("monitor", "--socket", str(service.socket), "-f", "callid:none")
    with terminal(*words, columns=80, rows=24) as screen:
        screen.wait_for("nothing yet", "q end  ? keys")
        assert not termios.tcgetattr(screen.fd)[3] & termios.ICANON
        screen.press("?")
        screen.wait_for("what sipx changed in the message on its way")
        screen.press("\x03")
        code, shown = screen.ended()
        assert code == 0
        assert "Traceback" not in shown
        assert screen.raw.endswith("\x1b[?25h\x1b[?1049l")  # the cursor, and what was there before
        assert termios.tcgetattr(screen.fd)[3] & termios.ICANON
