"""The tutorial is followed, step by step, as a reader would: its commands are run, its files are
written, and what it prints has to be printed.

How the page is read:

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
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "tutorial-two-sites.md"
SCRIPT = ROOT / "docs" / "examples" / "two-sites" / "uc_server.py"
PATIENCE = 30.0
"""Seconds for what should take less than one, on a machine that is busy."""

STEP = re.compile(
    r"^<!-- (?P<alone>interrupt|kill) (?P<whom>\w+) -->$"
    r"|(?:^<!-- (?P<mark>file|fails|run|typed into|shown by) (?P<name>[\w.]+) -->\n)?"
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


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def test_the_tutorial_works_from_its_first_step_to_its_last(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    directory = tmp_path / "two-sites"
    directory.mkdir()
    port = str(free_port())
    script = SCRIPT.read_text(encoding="utf-8")
    (directory / SCRIPT.name).write_text(script.replace("5060", port))
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
    }
    page = PAGE.read_text(encoding="utf-8").partition("\n## Appendix")[0]
    page = page.replace("5060", port)
    reader = Reader(directory, environment)
    try:
        steps = list(STEP.finditer(page))
        assert len(steps) > 15
        for step in steps:
            reader.follow(step)
    finally:
        reader.close()


@pytest.mark.interop
def test_kamailio_takes_the_configuration_of_the_appendix(tmp_path: Path) -> None:
    kamailio = shutil.which("kamailio", path=f"{os.environ['PATH']}:/usr/sbin")
    if kamailio is None:
        pytest.skip("kamailio is not installed (Debian: kamailio)")
    text = PAGE.read_text(encoding="utf-8").partition("\n## Appendix")[2]
    configuration, uacreg, version = re.findall(r"^```text\n(.*?)^```$", text, re.M | re.S)
    (tmp_path / "uacreg").write_text(uacreg)
    (tmp_path / "version").write_text(version)
    file = tmp_path / "kamailio.cfg"
    here = configuration.replace("10.2.0.20", "127.0.0.1")
    file.write_text(here.replace("/etc/kamailio/db", str(tmp_path)))
    done = subprocess.run(
        [kamailio, "-c", "-f", str(file), "-w", str(tmp_path), "-Y", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    columns, row = uacreg.splitlines()
    assert len(re.split(r"(?<!\\):", row)) == len(columns.split())


@pytest.mark.parametrize(
    ("expected", "printed", "verdict"),
    [
        (["a … c"], ["a  b c"], True),
        (["a"], ["a", "b"], False),
        (["a", "…"], ["a", "b", "c"], True),
        (["…", "c"], ["a", "b"], False),
        ([], [], True),
        (["a"], [], False),
    ],
)
def test_how_lines_are_compared(expected: list[str], printed: list[str], verdict: bool) -> None:
    assert shown(expected, printed) is verdict
