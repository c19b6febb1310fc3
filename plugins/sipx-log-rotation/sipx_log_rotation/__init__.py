"""Log files: by size and number, deleted or archived daily, and a log of all transactions.

calendar        days by the wall clock, whatever it does
files           one log: the file being written, and those before it
archive         from an old file to a compressed one
handler         lines of the log into such a file
transactions    a line for each finished request
"""

from sipx_log_rotation.config import LogRotationConfig
from sipx_log_rotation.plugin import LogRotation

__all__ = ["LogRotation", "LogRotationConfig"]
