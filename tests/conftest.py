"""What all tests share: no test can meet a real account or a real home."""

from __future__ import annotations

import os

# moto reads it when it is first imported; its own images only cost time
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
