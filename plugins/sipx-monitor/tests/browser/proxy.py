"""The real ``sipx run`` as a process, with a configuration file that tests may look at."""

from __future__ import annotations

import errno
import json
import os
import pty
import queue
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 60.0
"""Seconds after which something that should have happened has failed."""
_LINK = re.compile(r"https?://\S+/#token=[\w.~-]+")


class Sipx:
    """One proxy: its folder, its file, and its process, which may be stopped and started.

    ``site`` is a directory with packages that are installed for it alone.
    """

    def __init__(self, folder: Path, text: str, site: Path | None = None) -> None:
        self.folder = folder
        self._site = site
        self.file = folder / "sipx.toml"
        self.file.write_text(text, encoding="utf-8")
        self.first_link = ""
        """What the first start printed."""
        self.home = ""
        """The address of the console."""
        self.session: Any = None
        """What a browser keeps that is logged on."""
        self.output: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._process: subprocess.Popen[bytes] | None = None

    # ------------------------------------------------------------ the process

    @contextmanager
    def running(self) -> Iterator[Sipx]:
        """It runs within."""
        try:
            self.first_link = self.start()
            yield self
            self.stop()
        finally:
            self.kill()

    def start(self, *, at_a_terminal: bool = False) -> str:
        """Start it; a one-time link. At a terminal that is the one that it prints."""
        self.session = None  # sessions end with the process
        if at_a_terminal:
            ours, theirs = pty.openpty()
        else:
            ours, theirs = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sipx", "run"],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        lines = self._lines = queue.Queue()
        threading.Thread(target=self._read, args=(ours, lines), daemon=True).start()
        if at_a_terminal:
            line = self._heard(_LINK)
            return _LINK.findall(line)[0]
        self._heard(re.compile(r'"event": "started"'))
        return self.link()

    def _heard(self, wanted: re.Pattern[str]) -> str:
        """The next line with something in it."""
        while True:
            try:
                line = self._lines.get(timeout=PATIENCE)
            except queue.Empty:
                raise AssertionError(f"no {wanted.pattern} in\n{self.said}") from None
            assert line is not None, f"sipx ended:\n{self.said}"
            if wanted.search(line):
                return line

    def _read(self, end: int, lines: queue.Queue[str | None]) -> None:
        with os.fdopen(end, "r", encoding="utf-8", errors="replace") as stream:
            try:
                for line in stream:
                    self.output.append(line)
                    lines.put(line)
            except OSError as error:
                if error.errno != errno.EIO:  # the other end of a terminal has gone
                    raise
        lines.put(None)

    @property
    def said(self) -> str:
        """Everything that it has printed."""
        return "".join(self.output)

    def stop(self) -> int:
        """End it as an operator would; its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(PATIENCE)

    def kill(self) -> None:
        """End it if it still runs, whatever it does."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE)

    @property
    def pid(self) -> int:
        """The process that runs."""
        assert self._process is not None
        return self._process.pid

    # ------------------------------------------------------------ asking it

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SIPX_", "XDG_"))}
        home = str(self.folder / "home")
        return {
            **kept,
            "HOME": home,
            "STATE_DIRECTORY": str(self.folder / "state"),
            "SIPX_CONFIG": str(self.file),
            "SIPX_SOCKET": str(self.folder / "control.sock"),
            "NO_COLOR": "1",
            "PYTHONUNBUFFERED": "1",
            **({} if self._site is None else {"PYTHONPATH": str(self._site)}),
        }

    def _done(self, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "sipx", *words],
            cwd=self.folder,
            env=self._environment(),
            input=typed,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def command(self, *words: str, typed: str = "") -> str:
        """What a command prints that reads what is typed."""
        done = self._done(*words, typed=typed)
        assert done.returncode == 0, f"sipx {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def refused(self, *words: str) -> str:
        """What a command says that is refused."""
        done = self._done(*words)
        assert done.returncode != 0, f"sipx {' '.join(words)} was not refused"
        return done.stderr + done.stdout

    def json(self, *words: str) -> Any:
        """The document that a command prints."""
        return json.loads(self.command(*words, "--json"))

    def link(self, *words: str) -> str:
        """A new one-time link."""
        found = _LINK.search(self.command("console", "url", *words))
        assert found is not None
        return found[0]

    def place(self, interface: str) -> tuple[str, int]:
        """Where an interface listens."""
        [found] = [i for i in self.json("status")["interfaces"] if i["name"] == interface]
        return found["address"], found["port"]

    @property
    def text(self) -> str:
        """The file, as it is now."""
        return self.file.read_text(encoding="utf-8")
