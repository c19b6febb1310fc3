"""A tutorial is followed step by step as a reader would: its commands are run, its files are
written, and what it prints has to be printed.

How a page is read:

* ``<!-- file NAME -->`` before a block: the block is that file;
* a ```console block: what follows ``$`` is run, the other lines are what it prints;
* ``<!-- fails N -->`` before it: with this exit code in place of 0;
* ``<!-- run NAME -->`` before it: it goes on in a terminal of its own, which is called NAME;
* ``<!-- typed into NAME -->`` and ``<!-- shown by NAME -->`` before a block: what is typed there,
  and what is shown there next;
* ``<!-- interrupt NAME -->``, ``<!-- kill NAME -->``: its end by Ctrl-C, or by ``kill -9``.

``…`` in a line stands for any text, a line ``…`` for any lines; how wide gaps are does not count.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import IO

PATIENCE = 30.0
"""Seconds for what should take less than one, on a machine that is busy."""

STEP = re.compile(
    r"^<!-- (?P<alone>interrupt|kill) (?P<whom>\w+) -->$"
    r"|(?:^<!-- (?P<mark>file|fails|run|typed into|shown by) (?P<name>[\w./]+) -->\n)?"
    r"^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.M | re.S,
)


class Terminal:
    """A command that goes on, and what it has shown so far."""

    def __init__(self, command: str, directory: Path, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {command}"],
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._taken = 0
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._more:
                self.lines.append(line.rstrip("\n"))
                self._more.notify_all()

    @property
    def typed(self) -> IO[str]:
        assert self.process.stdin is not None
        return self.process.stdin

    def shows(self, expected: list[str]) -> None:
        """These lines come next, other lines may be between them."""
        deadline = time.monotonic() + PATIENCE
        for wanted in expected:
            if wanted == "…":
                continue
            with self._more:
                while not self._found(wanted):
                    left = deadline - time.monotonic()
                    assert left > 0, f"not shown: {wanted}\n" + "\n".join(self.lines)
                    self._more.wait(left)

    def _found(self, wanted: str) -> bool:
        for number in range(self._taken, len(self.lines)):
            if matches(wanted, self.lines[number]):
                self._taken = number + 1
                return True
        return False

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        self.typed.close()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def matches(wanted: str, line: str) -> bool:
    words = [re.escape(part) for part in " ".join(wanted.split()).split("…")]
    return re.fullmatch(".*".join(words), " ".join(line.split())) is not None


def shown(expected: list[str], printed: list[str]) -> bool:
    """Whether what was printed is what the page says, from the first line to the last."""
    if not expected:
        return not printed
    if expected[0] == "…":
        return any(shown(expected[1:], printed[n:]) for n in range(len(printed) + 1))
    return bool(printed) and matches(expected[0], printed[0]) and shown(expected[1:], printed[1:])


def commands(text: str) -> list[tuple[str, list[str]]]:
    """Each command of a block with the lines below it."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


class Reader:
    """Follows the page in ``directory``."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.directory = directory
        self.environment = environment
        self.terminals: dict[str, Terminal] = {}

    def follow(self, step: re.Match[str]) -> None:
        if step["alone"]:
            how = signal.SIGINT if step["alone"] == "interrupt" else signal.SIGKILL
            code = self.terminals.pop(step["whom"]).end(how)
            assert code == (0 if how == signal.SIGINT else -how)
            return
        mark, name, text = step["mark"], step["name"], step["text"]
        if mark == "file":
            (self.directory / name).write_text(text)
        elif mark == "run":
            ((command, expected),) = commands(text)
            terminal = Terminal(command, self.directory, self.environment)
            self.terminals[name] = terminal
            terminal.shows(expected)
        elif mark == "typed into":
            self.terminals[name].typed.write(text)
            self.terminals[name].typed.flush()
        elif mark == "shown by":
            self.terminals[name].shows(text.splitlines())
        elif step["language"] == "console":
            for command, expected in commands(text):
                self.run(command, expected, int(name) if mark == "fails" else 0)

    def run(self, command: str, expected: list[str], code: int) -> None:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        said = f"$ {command}\n{done.stdout}"
        assert done.returncode == code, said
        assert shown(expected, done.stdout.splitlines()), said

    def close(self) -> None:
        for terminal in self.terminals.values():
            terminal.end(signal.SIGKILL)


def free_port(*addresses: str) -> str:
    """A TCP port that is free at all of these addresses of this machine, by default 127.0.0.1."""
    first, *others = addresses or ("127.0.0.1",)
    while True:
        with socket.socket() as sock:
            sock.bind((first, 0))
            port: int = sock.getsockname()[1]
            if all(_is_free(address, port) for address in others):
                return str(port)


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as sock:
        try:
            sock.bind((address, port))
        except OSError:
            return False
        return True


def environment_in(home: Path) -> dict[str, str]:
    """An environment with an empty home, in which ``sipx`` and ``python3`` are those of now."""
    home.mkdir()
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
    }


def follow(page: str, directory: Path, environment: dict[str, str]) -> int:
    """Do all that a page says, in ``directory``; how many steps there were."""
    with closing(Reader(directory, environment)) as reader:
        steps = list(STEP.finditer(page))
        for step in steps:
            reader.follow(step)
    return len(steps)
