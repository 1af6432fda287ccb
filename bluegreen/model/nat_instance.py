"""The machine that stands in for a NAT gateway where the budget is small: what it is, and what it does. Pure."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from bluegreen.model.schema import ConfigModel, refusal

IMAGES = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default"
"""Public parameters that name the newest image of Amazon Linux 2023, by architecture (AL2023 User Guide)."""

_ARM = re.compile(r"(a1|[a-z]+\d+g[a-z]*)\.")
"""Graviton: t4g, m7gd, c7gn. Not g4dn, whose g is in front."""


def _instance_type(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", value):
        raise refusal(f"{value!r} is not an instance type; one looks like t4g.nano")
    return value


def _image(value: str) -> str:
    if value and not re.fullmatch(r"ami-([0-9a-f]{8}|[0-9a-f]{17})", value):
        raise refusal(f"{value!r} is not the id of an AMI; ids look like ami-0123456789abcdef0")
    return value


class NatInstance(ConfigModel):
    """`image`: empty for the Amazon Linux 2023 of the day when the machine is made, which it then keeps."""

    type: Annotated[str, AfterValidator(_instance_type)] = "t4g.nano"
    image: Annotated[str, AfterValidator(_image)] = ""

    @property
    def image_parameter(self) -> str:
        """The public parameter that names its image where the settings don't."""
        return f"{IMAGES}-{'arm64' if _ARM.match(self.type) else 'x86_64'}"


DEFAULT = NatInstance()


def routing_script(cidr: str) -> str:
    """User data: what comes from the network of `cidr` and goes elsewhere leaves under this machine's own address.

    The service loads the rules again at each boot. Amazon Linux comes without nftables; its packages are in S3.
    """
    return f"""#!/bin/bash
set -euo pipefail
echo 'net.ipv4.ip_forward = 1' > /etc/sysctl.d/90-nat.conf
sysctl --load /etc/sysctl.d/90-nat.conf
for attempt in 1 2 3 4 5; do
  command -v nft > /dev/null && break
  dnf --assumeyes install nftables || sleep 5
done
cat > /etc/sysconfig/nftables.conf <<'RULES'
flush ruleset
table ip nat {{
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {cidr} ip daddr != {cidr} masquerade
  }}
}}
RULES
systemctl enable nftables
systemctl restart nftables
"""
