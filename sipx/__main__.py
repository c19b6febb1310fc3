"""``python -m sipx``, and the entry point of the command ``sipx``."""

from __future__ import annotations

from sipx.cli.root import sipx


def main() -> None:
    """Run the command line; ends the process with an exit code of docs/operations.md."""
    sipx(prog_name="sipx")


if __name__ == "__main__":
    main()
