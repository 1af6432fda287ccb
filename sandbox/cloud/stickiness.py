"""The cookies by which a load balancer knows a client again: what they say, and how they are read.

Pure but for the clock. A cookie is good for one destination, a target group's ARN or `target_name`, until a moment
that is in it; it can be neither read nor made elsewhere, as AWS's, which are encrypted. Every answer sets it anew, so
its time runs from the client's last request (awsdocs/elb-application-load-balancers-user-guide#11).
Source of names and attributes: the Application Load Balancers guide, "Sticky sessions". Its third kind, by an
application's own cookie, is not here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import struct
import time
from collections.abc import Collection, Iterable
from email.utils import formatdate

GROUP = b"AWSALBTG"
TARGET = b"AWSALB"

# Its twin is for requests from other origins, where browsers want it said that they may have it.
_TWIN = b"CORS"
_SECRET = os.urandom(32)
_UNTIL = struct.Struct(">d")


def target_name(group_arn: str, target_id: str, port: int) -> str:
    """A target as a destination: the same machine in another group, or at another port, is another one."""
    return f"{group_arn} {target_id}:{port}"


def set_cookies(name: bytes, destination: str, seconds: int) -> bytes:
    """The lines of an answer's head, for GROUP or TARGET."""
    until = time.time() + seconds
    value = _value(destination, _UNTIL.pack(until))
    rest = b"Expires=%b; Path=/" % formatdate(until, usegmt=True).encode()
    return b"Set-Cookie: %b=%b; %b\r\nSet-Cookie: %b%b=%b; %b; SameSite=None\r\n" % (
        name,
        value,
        rest,
        name,
        _TWIN,
        value,
        rest,
    )


def known(fields: Iterable[tuple[bytes, bytes]], name: bytes, destinations: Collection[str]) -> str | None:
    """Which of these the request's cookie stands for; None if it has none, or one that is over or of something else."""
    names = (name, name + _TWIN)
    for field, line in fields:
        if field.lower() != b"cookie":
            continue
        for part in line.split(b";"):
            key, _, value = part.strip().partition(b"=")
            if key in names and (found := _read(value, destinations)):
                return found
    return None


def _value(destination: str, until: bytes) -> bytes:
    seal = hashlib.blake2b(until + destination.encode(), key=_SECRET, digest_size=28).digest()
    return base64.b64encode(until + seal)


def _read(value: bytes, destinations: Collection[str]) -> str | None:
    try:
        until = base64.b64decode(value, validate=True)[: _UNTIL.size]
    except binascii.Error:
        return None
    found = next((it for it in destinations if hmac.compare_digest(_value(it, until), value)), None)
    # Only what we have sealed is looked at: anything else may be no number at all.
    return found if found and _UNTIL.unpack(until)[0] > time.time() else None
