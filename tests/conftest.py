"""What all tests share: no test can meet a real account or a real home, and each can be interrupted."""

from __future__ import annotations

import os
import signal

# moto reads it when it is first imported; its own images only cost time
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"

# A shell has what it starts in the background ignore Ctrl-C, and so would every program that a test starts and
# interrupts. One that is caught here is the default there.
for each in (signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(each) is signal.SIG_IGN:
        signal.signal(each, signal.default_int_handler if each is signal.SIGINT else signal.SIG_DFL)
