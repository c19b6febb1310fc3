"""Messages as files: text, JSON lines, CSV, SVG, pcapng."""
