"""AWS's list prices of what a stack is made of, as they were on `AS_OF` in `REGION`. Pure, and without the network.

On demand, Linux, in US dollars an hour. Sources: the price lists at https://aws.amazon.com/ec2/pricing/on-demand/,
/elasticloadbalancing/pricing/, /vpc/pricing/ (NAT gateways, public IPv4 addresses), /ebs/pricing/,
/privatelink/pricing/, /kms/pricing/ and /cloudwatch/pricing/.
"""

from __future__ import annotations

import re
from datetime import date

AS_OF = date(2025, 5, 28)
REGION = "us-east-1"

HOURS_OF_A_MONTH = 730
"""As AWS counts one."""

LOAD_BALANCER = 0.0225
"""An Application Load Balancer, without its LCUs, which go by traffic."""

NETWORK_LOAD_BALANCER = 0.0225
"""Without its NLCUs, which go by traffic: 0.006 each and hour. With cross-zone load balancing, what goes from one zone
to another is paid for too."""

NAT_GATEWAY = 0.045
"""Without what goes through it."""

INTERFACE_ENDPOINT = 0.01
"""Of one service in one zone, without what goes through it."""

PUBLIC_ADDRESS = 0.005
"""Of any public IPv4 address: a NAT gateway has one, a public load balancer one in each zone."""

ALARM_METRIC = 0.10 / HOURS_OF_A_MONTH
"""Each metric that an alarm looks at, of standard resolution."""

DASHBOARD = 3.00 / HOURS_OF_A_MONTH
"""Beyond the first three of an account, which are free."""

KMS_KEY = 1.00 / HOURS_OF_A_MONTH
"""A customer managed one, without requests; each of its first two rotations costs as much again."""

_LARGE_TABLE = """
    t2 0.0928  t3 0.0832  t3a 0.0752  t4g 0.0672
    m4 0.1  m5 0.096  m5a 0.086  m5d 0.113  m5n 0.119  m6a 0.0864  m6g 0.077  m6gd 0.0904
    m6i 0.096  m6id 0.11865  m6in 0.13923  m7a 0.11592  m7g 0.0816  m7gd 0.1068  m7i 0.1008
    m7i-flex 0.09576  m8g 0.08976  m8gd 0.11532
    c5 0.085  c5a 0.077  c5d 0.096  c5n 0.108  c6a 0.0765  c6g 0.068  c6gd 0.0768
    c6gn 0.0864  c6i 0.085  c6id 0.1008  c6in 0.1134  c7a 0.10264  c7g 0.0725  c7gd 0.0907
    c7gn 0.1248  c7i 0.08925  c7i-flex 0.08479  c8g 0.07976  c8gd 0.09798
    r5 0.126  r5a 0.113  r5d 0.144  r5n 0.149  r6a 0.1134  r6g 0.1008  r6gd 0.1152
    r6i 0.126  r6id 0.1512  r6in 0.17433  r7a 0.15216  r7g 0.1071  r7gd 0.1361  r7i 0.1323
    r7iz 0.186  r8g 0.11782  r8gd 0.14696
    i3 0.156  i3en 0.226  i4g 0.15444  i4i 0.172  i8g 0.1716  z1d 0.186  x2gd 0.167
"""
_LARGE = {family: float(price) for family, price in re.findall(r"(\S+) ([\d.]+)", _LARGE_TABLE)}
"""Of each family's `large`. A size costs what it has of it: an xlarge twice, a 2xlarge four times."""

_SIZES = {"nano": 1 / 16, "micro": 1 / 8, "small": 1 / 4, "medium": 1 / 2, "large": 1.0, "xlarge": 2.0}


_VOLUMES = {"gp3": 0.08, "gp2": 0.10, "io1": 0.125, "io2": 0.125, "st1": 0.045, "sc1": 0.015}
"""Of a GB and month."""
_PROVISIONED_IOPS = 0.065
"""Of io1 and io2, a month; beyond 32 000 io2 costs less."""
_GP3_IOPS, _GP3_FREE_IOPS = 0.005, 3000
_GP3_THROUGHPUT, _GP3_FREE_THROUGHPUT = 0.04, 125
"""MB a second."""


def volume(kind: str, size_gb: int, iops: int | None, throughput: int | None) -> float:
    """Dollars an hour of one volume of EBS."""
    month = _VOLUMES[kind] * size_gb
    if kind == "gp3":
        month += _GP3_IOPS * max(0, (iops or 0) - _GP3_FREE_IOPS)
        month += _GP3_THROUGHPUT * max(0, (throughput or 0) - _GP3_FREE_THROUGHPUT)
    elif iops:
        month += _PROVISIONED_IOPS * iops
    return month / HOURS_OF_A_MONTH


def machine(instance_type: str) -> float | None:
    """Dollars an hour of one machine. None where the table lacks the family, or where the size does not go by it
    (metal)."""
    family, _, size = instance_type.partition(".")
    several = re.fullmatch(r"(\d+)xlarge", size)
    share = 2.0 * int(several[1]) if several else _SIZES.get(size)
    return _LARGE[family] * share if family in _LARGE and share else None
