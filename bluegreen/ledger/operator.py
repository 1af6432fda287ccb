"""Who deploys from here: this process's environment, user and host, for `bluegreen.model.operator`."""

from __future__ import annotations

import getpass
import os
import socket

from bluegreen.model.operator import Operator, operator_in


def operator_here() -> Operator:
    return operator_in(os.environ, user=_user(), host=socket.gethostname())


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name
        return str(os.getuid())
