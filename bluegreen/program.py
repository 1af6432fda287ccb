"""The Pulumi program: `run` for any, `declare` for bluegreen's own. `__main__.py` calls `main`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

import pulumi

from bluegreen.components.artifact_bucket import ArtifactBucket, ArtifactBucketArgs
from bluegreen.components.backup_bucket import BackupBucket, BackupBucketArgs
from bluegreen.components.consul_servers import ConsulServers, ConsulServersArgs
from bluegreen.components.encryption_key import EncryptionKey, EncryptionKeyArgs
from bluegreen.components.network import Network, NetworkArgs
from bluegreen.components.service import Service, ServiceArgs, make_balancer
from bluegreen.components.stack import Stack
from bluegreen.errors import BluegreenError, ImageUnset, NotUsable

INTERRUPTED = 130


def main() -> None:
    """Declare the stack that the config describes."""
    run(declare)


def run(declare: Callable[[Stack], None]) -> None:
    """Run a Pulumi program that declares services. Call it once, and declare all of them in `declare`.

    Hooks are registered first. What goes wrong (BluegreenError) ends the program with one message, and an interrupt
    (Ctrl-C, or a gate that failed) without a page of traceback. Where a service has no image, or what its settings name
    is not there, an update is refused before anything is changed, and a destroy goes on.
    """
    signal.signal(signal.SIGINT, _stop)
    try:
        stack = Stack.of_config()
        try:
            declare(stack)
        except ImageUnset as error:
            stack.refuse_image(error.image)
        except NotUsable as error:
            stack.refuse(error)
    except BluegreenError as error:
        raise pulumi.RunError(str(error)) from None


def declare(stack: Stack) -> None:
    """Declare network, load balancer, buckets and service of one service, and its Consul cluster, as the stack's config
    says.

    Raises AwsError where AWS can't be asked, SettingsError where the config asks for what a running stack can't become.
    """
    settings, name = stack.settings, stack.settings.service
    args = NetworkArgs.from_settings(settings, stack=stack)
    stack.refuse_other_services(name)
    network = Network(name, args)
    balancer = make_balancer(name, settings, stack=stack, network=network)
    keys = EncryptionKeyArgs.from_settings(settings, stack=stack)
    encryption = EncryptionKey(name, keys) if keys else None
    if artifacts := ArtifactBucketArgs.from_settings(settings, stack=stack, encryption=encryption):
        ArtifactBucket(name, artifacts)
    backups = BackupBucketArgs.from_settings(settings, stack=stack, encryption=encryption)
    stored = BackupBucket(name, backups).outputs if backups else {}
    args_of_service = ServiceArgs.from_settings(
        settings, stack=stack, network=network, balancer=balancer, encryption=encryption
    )
    service = Service(name, args_of_service)
    if consul := ConsulServersArgs.from_settings(settings, stack=stack, network=network):
        ConsulServers("consul", consul).admit(name, service.security_group_id)
    stack.export(service)
    for output, value in stored.items():
        pulumi.export(output, value)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    """The engine interrupts the program when an update ends early, be it by Ctrl-C or by a gate that failed.

    Nothing is left for the program to do then. Without this, the SDK prints a page of KeyboardInterrupt.
    """
    if not pulumi.runtime.is_dry_run():
        print("Stopped. What was begun is in the state: the next `pulumi up` goes on from here.", flush=True)
    sys.stderr.flush()
    os._exit(INTERRUPTED)
