"""A message as it is shown to somebody: its lines, its body or why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipx_monitor.slices import Slices
from sipx_monitor.traffic.head import shown
from sipx_monitor.traffic.models import HeadLine, MessageSummary, MessageText

if TYPE_CHECKING:
    from collections.abc import Collection

    from sipx_monitor.traffic.message import Message


class Shower:
    """Shows messages. ``served`` are the domains of this proxy; ``bodies`` whether they are
    recorded at all.
    """

    def __init__(self, served: Collection[bytes], bodies: str) -> None:
        self._served = frozenset(domain.decode("ascii", "replace") for domain in served)
        self._bodies = bodies

    def summary(self, message: Message, *, viewer: bool) -> MessageSummary:
        """One line of a list."""
        return MessageSummary.of(message, self._domain(message), viewer=viewer)

    async def text(self, message: Message, *, viewer: bool) -> MessageText:
        """All of it."""
        start, *lines = message.head.split(b"\r\n")
        head = [HeadLine(name="", value=shown(start), text=shown(start), part="start")]
        async with Slices() as slices:
            for line in lines:
                name, _, value = line.partition(b":")
                head.append(
                    HeadLine(
                        name=shown(name.strip()),
                        value=shown(value.strip()),
                        text=shown(line),
                        part="header",
                    )
                )
                await slices.next()
        body = "" if viewer else readable(message.body)
        texts = [line.text for line in head]
        return MessageText(
            message=self.summary(message, viewer=viewer),
            head=tuple(head),
            text="\n".join((*texts, "", body)) if body else "\n".join((*texts, "")),
            body=body,
            body_note=self._note(message, viewer=viewer),
            twin=message.twin or None,
        )

    def _domain(self, message: Message) -> str:
        domains = message.domains
        for domain in domains:
            if domain not in self._served:
                return domain
        return domains[-1] if domains else ""

    def _note(self, message: Message, *, viewer: bool) -> str:
        notes: list[str] = []
        if message.fault:
            notes.append(f"malformed: {message.fault}")
        if message.body_state == "dropped":
            notes.append(
                f"the body ({message.body_type or 'of no type'}) was not recorded: "
                f'monitor.capture_bodies is "{self._bodies}"'
            )
        elif message.body_state == "kept" and viewer:
            notes.append("bodies are not shown to viewers; ask for the role operator")
        return "; ".join(notes)


def readable(body: bytes) -> str:
    """A body as text: lines stay lines, anything else that is no text stands escaped."""
    text = body.decode("utf-8", "backslashreplace").replace("\r\n", "\n")
    return "\n".join(
        "\t".join(shown(cell.encode()) for cell in line.split("\t")) for line in text.split("\n")
    )
