"""Components for any Pulumi program: a network, a load balancer in it, services behind it, buckets and their key,
machines that stay. docs/library.md."""

from bluegreen.components.artifact_bucket import ArtifactBucket, ArtifactBucketArgs
from bluegreen.components.backup_bucket import BackupBucket, BackupBucketArgs
from bluegreen.components.balancer import Balancer, BalancerArgs
from bluegreen.components.consul_servers import ConsulServers, ConsulServersArgs
from bluegreen.components.encryption_key import EncryptionKey, EncryptionKeyArgs
from bluegreen.components.network import Network, NetworkArgs
from bluegreen.components.service import Service, ServiceArgs, make_balancer
from bluegreen.components.shared_balancer import SharedBalancer, SharedBalancerArgs
from bluegreen.components.stack import Stack
from bluegreen.components.stateful_tier import StatefulTier, StatefulTierArgs

__all__ = [
    "ArtifactBucket",
    "ArtifactBucketArgs",
    "BackupBucket",
    "BackupBucketArgs",
    "Balancer",
    "BalancerArgs",
    "ConsulServers",
    "ConsulServersArgs",
    "EncryptionKey",
    "EncryptionKeyArgs",
    "Network",
    "NetworkArgs",
    "Service",
    "ServiceArgs",
    "SharedBalancer",
    "SharedBalancerArgs",
    "Stack",
    "StatefulTier",
    "StatefulTierArgs",
    "make_balancer",
]
