"""What joins moto's tables and the data plane, and keeps the latter in line with the former.

A control thread runs in rounds: Auto Scaling groups, instances, draining targets, then the data plane's table. A change
by the API publishes the table before the call returns, so it holds at once for new requests, and wakes the next round.
`lock` guards all of it; see the package's docstring.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.instances import Instance, StateReason
from moto.elbv2.models import ELBv2Backend, FakeTargetGroup, elbv2_backends

from bluegreen.errors import BluegreenError
from sandbox.cloud import balancers, moto_gaps, quotas
from sandbox.cloud.authority import Authority
from sandbox.cloud.autoscaling import AutoScaling
from sandbox.cloud.health import NOT_REGISTERED, Fault, Health
from sandbox.cloud.images import BASE_IMAGES, Images, check_app
from sandbox.cloud.loopback import Loopback
from sandbox.cloud.machines import Machine, Machines
from sandbox.cloud.metrics import Metric, Metrics
from sandbox.cloud.moto_gaps.cloudwatch import evaluate_alarms
from sandbox.cloud.moto_gaps.image_sharing import Copies
from sandbox.cloud.moto_gaps.instances import set_state
from sandbox.cloud.moto_gaps.launches import raw_user_data
from sandbox.cloud.moto_gaps.targets import drains, healths
from sandbox.cloud.plane import Plane
from sandbox.cloud.samples import Samples
from sandbox.cloud.throttle import Throttle
from sandbox.cloud.volumes import Volumes
from sandbox.host import LONGEST_METRIC_SECONDS

ACCOUNT = "123456789012"
_IMAGE_STATES = ("available", "pending", "invalid", "deregistered", "transient", "failed", "error", "disabled")
_ARCHITECTURES = ("x86_64", "arm64", "i386", "x86_64_mac", "arm64_mac")
_BUSY_ROUND_SECONDS = 0.05
_IDLE_ROUND_SECONDS = 0.25
_STOP_SECONDS = 2.0

log = logging.getLogger("sandbox")


@dataclass
class Drain:
    """A target on its way out of its group."""

    target: dict[str, Any]
    ends_at: float


class Cloud:
    """The stand-in for AWS behind the API. Runs from `start` to `stop`."""

    def __init__(
        self,
        directory: Path,
        loopback: Loopback,
        *,
        endpoint: str,
        region: str,
        boot_seconds: float,
        metric_seconds: int,
    ) -> None:
        self.lock = threading.RLock()
        self.directory = directory
        self.loopback = loopback
        self.endpoint = endpoint
        self.region = region
        self.boot_seconds = boot_seconds
        self.launches_left: int | None = None  # a fault: None means that capacity never runs out
        self.vcpu_quota = quotas.DEFAULT_VCPUS
        self.throttle = Throttle()
        self.images = Images(directory / "images")
        self.copies = Copies()
        self._regions_with_base_images: set[str] = set()
        self.machines = Machines(directory / "machines", self.images, loopback, endpoint)
        self.volumes = Volumes(directory / "volumes")
        self.autoscaling = AutoScaling(self)
        self.plane = Plane(metric_seconds)
        self.metrics = Metrics(metric_seconds)
        self._wake = threading.Event()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        self.authority = Authority(directory)
        moto_gaps.fill(self)
        self.register_base_images(region)

    def start(self) -> None:
        self.plane.start()
        self._thread.start()

    def stop(self) -> None:
        self._is_stopping = True
        self._wake.set()
        self._thread.join()
        self.plane.stop()
        self.machines.stop_all(within=_STOP_SECONDS)

    def changed(self) -> None:
        """Something in moto's tables changed: publish what the data plane needs, and have a round soon."""
        with self.lock:
            self.publish()
        self._wake.set()

    def publish(self) -> None:
        """Raises PortUnavailable if a listener's port can't be bound; the table before it then stays in force."""
        self.plane.apply(balancers.table(self._reachable_address))
        for backend in self._elbv2():
            balancers.refresh_associations(backend)

    # -- images

    def register_image(
        self,
        app: Path,
        *,
        name: str | None = None,
        tags: Mapping[str, str],
        environment: Mapping[str, str],
        architecture: str = "x86_64",
        state: str = "available",
    ) -> str:
        """An AMI made of an app's directory; its id."""
        check_app(app)
        if architecture not in _ARCHITECTURES:
            raise BluegreenError(f"no such architecture: {architecture}", f"One of {', '.join(_ARCHITECTURES)}.")
        if state not in _IMAGE_STATES:
            raise BluegreenError(f"no such state of an image: {state}", f"One of {', '.join(_IMAGE_STATES)}.")
        if "version" in tags:
            environment = {"APP_VERSION": tags["version"], **environment}
        with self.lock:
            backend: EC2Backend = ec2_backends[ACCOUNT][self.region]
            ami = backend.register_image(name or f"{app.name}-{time.time_ns()}", "made of an app's directory")
            try:
                self.images.bake(ami.id, app, environment)
            except Exception:
                backend.amis.pop(ami.id)
                raise
            ami.architecture = architecture
            ami.virtualization_type, ami.root_device_type, ami.root_device_name = "hvm", "ebs", "/dev/xvda"
            ami.state = state
            ami.add_tags(dict(tags))
            return ami.id

    def register_base_images(self, region: str) -> None:
        """The publishers' images that templates look for. Whichever is taken, the system in it is the host's."""
        if region in self._regions_with_base_images:
            return
        self._regions_with_base_images.add(region)
        backend: EC2Backend = ec2_backends[ACCOUNT][region]
        for base in BASE_IMAGES:
            ami = backend.register_image(base.name, "the host's own system")
            ami.owner_id, ami.owner_alias, ami.architecture = base.owner, base.owner_alias, base.architecture
            ami.virtualization_type, ami.root_device_type = "hvm", "ebs"
            ami.root_device_name = base.root_device
            ami.launch_permissions.append({"Group": "all"})
            self.images.base(ami.id)

    @property
    def cell_obstacle(self) -> str | None:
        """Why machines can't be logged into here; None if they can."""
        return self.machines.cell_obstacle

    # -- metrics and faults

    def set_metric_seconds(self, seconds: int) -> None:
        """How long a minute of CloudWatch's lasts from now on; what has been measured stays."""
        if not 1 <= seconds <= LONGEST_METRIC_SECONDS:
            raise BluegreenError(
                f"a metric period of {seconds} seconds", f"Give whole seconds from 1 to {LONGEST_METRIC_SECONDS}."
            )
        with self.lock:
            self.metrics.period_seconds = seconds
            self.plane.set_metric_seconds(seconds)

    def set_fault(self, target_group: str, fault: Fault | None) -> None:
        """For all targets of a group, by its ARN or name, until it is set anew; None ends it."""
        with self.lock:
            arns = [
                group.arn
                for backend in self._elbv2()
                for group in backend.target_groups.values()
                if target_group in (group.arn, group.name)
            ]
            if not arns:
                raise BluegreenError(f"no such target group: {target_group}", "`status` lists those that there are.")
            for arn in arns:
                self.plane.set_fault(arn, fault)

    # -- targets, for Auto Scaling

    def register(self, group_arn: str, instance_id: str) -> None:
        group = self._target_group(group_arn)
        if group:
            group.register([{"Id": instance_id, "Port": group.port}])

    def deregister(self, group_arn: str, instance_id: str) -> None:
        group = self._target_group(group_arn)
        if group:
            group.deregister([{"Id": instance_id}])

    def is_draining(self, group_arn: str, instance_id: str) -> bool:
        group = self._target_group(group_arn)
        return group is not None and instance_id in drains(group)

    def target_health(self, group_arn: str, instance_id: str) -> Health:
        group = self._target_group(group_arn)
        target = group and group.targets.get(instance_id)
        return self.plane.health(group_arn, instance_id, int(target["Port"])) if target else NOT_REGISTERED

    def take_capacity(self, instance_type: str, zone: str | None, count: int) -> str | None:
        """AWS's words if there is not enough for a launch; else None, and the capacity is taken."""
        if self.launches_left is None:
            return None
        if self.launches_left >= count:
            self.launches_left -= count
            return None
        return (
            f"We currently do not have sufficient {instance_type} capacity in the Availability Zone you requested "
            f"({zone}). Our system will be working on provisioning additional capacity. You can currently get "
            f"{instance_type} capacity by not specifying an Availability Zone in your request or choosing another one."
        )

    # -- the rounds

    def _run(self) -> None:
        while not self._is_stopping:
            self._wake.wait(_BUSY_ROUND_SECONDS if self._is_busy() else _IDLE_ROUND_SECONDS)
            self._wake.clear()
            self._round()

    def _round(self) -> None:
        booting: list[Machine] = []
        with self.lock:
            for step in (
                self.autoscaling.advance,
                lambda: booting.extend(self._advance_instances()),
                self._settle_drains,
                self.copies.advance,
                self.publish,
                self._measure,
            ):
                try:
                    step()
                except Exception:
                    # A bug in one step must not end everybody's machines; the log has it, the next round tries again.
                    log.exception("a round of the control thread failed")
        for machine in booting:
            self.machines.boot(machine)

    def _is_busy(self) -> bool:
        now = time.monotonic()
        return any(machine.is_stopping or now < machine.up_after + 5 for machine in self.machines.all())

    def _advance_instances(self) -> list[Machine]:
        """Machines follow their instances, and the other way round. Those to be booted are given back."""
        booting: list[Machine] = []
        for account in list(ec2_backends.values()):
            for backend in list(account.values()):
                for instance in backend.all_instances():
                    if machine := self._advance_instance(instance):
                        booting.append(machine)
        return booting

    def _advance_instance(self, instance: Instance) -> Machine | None:
        machine = self.machines.get(instance.id)
        match instance.state:
            case "pending" if machine is None:
                return self.machines.create(
                    instance.id,
                    instance.image_id,
                    self.boot_seconds,
                    public_key=self._public_key(instance),
                    user_data=raw_user_data(instance.user_data),
                )
            case "pending" | "running" if machine and machine.has_crashed():
                log.warning("machine %s: %s; see %s", instance.id, machine.failure, machine.console)
                machine.stop(within=0.0)
                self.machines.discard(machine)
                self._end(instance, "Client.InstanceInitiatedShutdown", "Instance initiated shutdown")
            case "pending" if machine and machine.is_up(time.monotonic()):
                set_state(instance, "running")
            case "shutting-down" | "stopping":
                if machine:
                    machine.stop()
                    if not machine.is_gone():
                        return None
                    self.machines.discard(machine)
                if instance.state == "stopping":
                    instance.stop()
                else:
                    self._end(instance, "Client.UserInitiatedShutdown", "User initiated shutdown")
                    if instance.key_name:
                        self.machines.wipe(instance.id)
            case "terminated" if machine:
                machine.stop(within=0.0)
                self.machines.discard(machine)
        return None

    def _public_key(self, instance: Instance) -> str | None:
        pair = instance.ec2_backend.key_pairs.get(instance.key_name) if instance.key_name else None
        return pair.public_key if pair else None

    def _end(self, instance: Instance, code: str, message: str) -> None:
        instance.terminate()
        instance.state_reason = StateReason(f"{code}: {message}", code)
        for backend in self._elbv2():
            for group in backend.target_groups.values():
                if instance.id in group.targets:
                    group.deregister([{"Id": instance.id}])

    def _settle_drains(self) -> None:
        """A deregistration is shown for its whole delay; in a group without traffic it ends with its last request."""
        now = time.monotonic()
        for backend in self._elbv2():
            for group in backend.target_groups.values():
                for target_id, drain in list(drains(group).items()):
                    is_idle = not group.load_balancer_arns and not self.plane.in_flight(
                        group.arn, target_id, int(drain.target["Port"])
                    )
                    if is_idle or now >= drain.ends_at:
                        del drains(group)[target_id]

    def _measure(self) -> None:
        """What the load balancers have counted becomes metrics; alarms look at them period by period."""
        for period in self.plane.closed_periods():
            self.metrics.take(period)
            for home, group, name, value in self.autoscaling.measures():
                of_group = (("AutoScalingGroupName", group),)
                self.metrics.add(Metric(home, "AWS/AutoScaling", name, of_group), period.start, Samples.of(value, 1))
            evaluate_alarms(self.metrics, period.end)

    # -- looking things up

    def _reachable_address(self, target_id: str) -> str | None:
        if not target_id.startswith("i-"):
            return target_id
        return self.machines.address(target_id) if self.machines.get(target_id) else None

    def _target_group(self, arn: str) -> FakeTargetGroup | None:
        return next((it.target_groups[arn] for it in self._elbv2() if arn in it.target_groups), None)

    def _elbv2(self) -> Iterator[ELBv2Backend]:
        for account in list(elbv2_backends.values()):
            yield from list(account.values())

    def instance(self, instance_id: str) -> Instance | None:
        for account in list(ec2_backends.values()):
            for backend in list(account.values()):
                if instance := backend.get_instance_by_id(instance_id):
                    return instance
        return None

    # -- for people and tests

    def status(self) -> dict[str, Any]:
        with self.lock:
            return {
                "directory": str(self.directory),
                "endpoint": self.endpoint,
                "bootSeconds": self.boot_seconds,
                "launchesLeft": self.launches_left,
                "vcpuQuota": self.vcpu_quota,
                "metricSeconds": self.metrics.period_seconds,
                "machines": [self._machine_status(machine) for machine in self.machines.all()],
                "loadBalancers": [
                    {
                        "name": balancer.name,
                        "address": balancer.dns_name,
                        "listeners": [
                            {
                                "port": int(listener.port),
                                "targetGroups": sorted(
                                    backend.target_groups[arn].name
                                    for arn in balancers.group_arns(balancer, listener)
                                    if arn in backend.target_groups
                                ),
                            }
                            for listener in balancer.listeners.values()
                        ],
                    }
                    for backend in self._elbv2()
                    for balancer in backend.load_balancers.values()
                ],
                "targetGroups": [
                    {
                        "name": group.name,
                        "targets": [
                            {
                                "id": target["Id"],
                                "port": int(target["Port"]),
                                "health": health.state,
                                "reason": health.reason,
                            }
                            for target, health in healths(self, group)
                        ],
                    }
                    for backend in self._elbv2()
                    for group in backend.target_groups.values()
                ],
            }

    def _machine_status(self, machine: Machine) -> dict[str, Any]:
        instance = self.instance(machine.instance_id)
        return {
            "id": machine.instance_id,
            "image": machine.image_id,
            "state": instance.state if instance else "terminated",
            "zone": instance.availability_zone if instance else None,
            "address": machine.address,
            "privateAddress": instance.private_ip if instance else None,
            "pids": [process.pid for _, process in machine.processes],
            "console": str(machine.console),
            "tags": {tag["key"]: tag["value"] for tag in instance.get_tags()} if instance else {},
        }
