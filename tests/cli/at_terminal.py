"""The real command as what owns the terminal on its input, for tests that sit at one.

With a request "-" that is piped in, and the terminal is still there to be asked at.
"""

import fcntl
import os
import sys
import termios

from llmcompiler.cli import main

if __name__ == "__main__":
    sys.argv.remove("--tty")
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    if "-" in sys.argv:
        reading, writing = os.pipe()
        os.write(writing, b"Mail Ann.\n")
        os.close(writing)
        os.dup2(reading, 0)
    main()
