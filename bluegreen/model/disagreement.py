"""What is wrong between settings that are each right by themselves. Pure."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bluegreen.model import launch_options, mixed_instances, network_balancer, shared_listener, warm_pool
from bluegreen.model import scaling as scalings
from bluegreen.model.addresses import AddressPlanError
from bluegreen.model.consul import SERVICE as CONSUL_SERVICE
from bluegreen.model.consul import not_reached
from bluegreen.model.endpoints import services_of
from bluegreen.model.nat import Nat
from bluegreen.model.network_balancer import MAX_IDLE_SECONDS
from bluegreen.model.shared_listener import SharedListener
from bluegreen.model.warm_pool import WarmPool

if TYPE_CHECKING:
    from bluegreen.model.settings import Settings

Disagreement = tuple[set[str], tuple[str | int, ...], str]
"""The keys of the settings that disagree, where it is told, and what."""

OF_A_BALANCER = (
    "listener_port",
    "preview_port",
    "tls",
    "access_logs",
    "web_acl",
    "internal",
    "idle_timeout_seconds",
    "deletion_protection",
)
"""Settings that are of a load balancer which the stack makes."""


def faults_between(settings: Settings) -> Iterator[Disagreement]:
    """All of what is wrong, one by one."""
    if settings.min_size > settings.max_size:
        message = f"{settings.min_size} is more than maxSize ({settings.max_size})"
        yield {"minSize", "maxSize"}, ("minSize",), message
    if settings.alarms.capacity_minutes and settings.min_size == settings.max_size:
        message = f"a group of {settings.max_size} machines at least and at most is always at its most; leave it out"
        yield {"alarms", "minSize", "maxSize"}, ("alarms", "capacityMinutes"), message
    for path, message in scalings.faults(settings.scaling, settings.min_size, settings.max_size):
        yield {"scaling", "minSize", "maxSize"}, ("scaling", path), message
    if settings.warm_pool:
        yield from _of_a_warm_pool(settings, settings.warm_pool)
    if settings.production_port == settings.preview_port:
        message = f"{settings.preview_port} is listenerPort too; a load balancer listens on a port once"
        yield {"listenerPort", "previewPort", "tls"}, ("previewPort",), message
    redirect = settings.tls.redirect_port if settings.tls and not settings.is_network else 0
    if redirect and redirect in (settings.production_port, settings.preview_port):
        which = "listenerPort" if redirect == settings.production_port else "previewPort"
        message = f"{redirect} is {which} too; a load balancer listens on a port once (0: no redirect)"
        yield {"listenerPort", "previewPort", "tls"}, ("tls", "redirectPort"), message
    if settings.tls and not settings.tls.certificate and settings.dns:
        for name in settings.dns.names:
            if name != settings.tls.domain:
                message = (
                    f"the certificate that is issued is for {settings.tls.domain} alone, not for {name}; give the ARN "
                    "of one for all names as tls.certificate"
                )
                yield {"tls", "dns"}, ("dns", "names"), message
    if settings.target_stickiness_seconds and not settings.group_stickiness_seconds:
        message = (
            "needs groupStickinessSeconds too: while a listener forwards to two target groups, AWS refuses target "
            "stickiness without group stickiness"
        )
        keys = {"targetStickinessSeconds", "groupStickinessSeconds"}
        yield keys, ("targetStickinessSeconds",), message
    if settings.user_data and settings.user_data_template:
        message = "machines have one user data, and userData is set too; leave out one of the two"
        yield {"userData", "userDataTemplate"}, ("userDataTemplate",), message
    if mixed := settings.mixed_instances:
        for path, message in mixed_instances.faults(mixed, settings.instance_type, settings.max_size):
            yield {"mixedInstances", "instanceType", "maxSize"}, ("mixedInstances", path), message
    for at, message in launch_options.faults(settings.lifecycle_hooks, settings.progress_deadline_seconds):
        keys = {"lifecycleHooks", "progressDeadlineSeconds"}
        yield keys, ("lifecycleHooks", at, "heartbeatSeconds"), message
    if settings.instance_profile and settings.instance_role:
        message = (
            f"machines have one role, and instanceProfile names {settings.instance_profile}; leave out one of the two"
        )
        yield {"instanceRole", "instanceProfile"}, ("instanceRole",), message
    if settings.instance_role and settings.instance_role.backups and not settings.backups:
        message = "allows uploads of backups, and there is no bucket for them; set backups"
        yield {"instanceRole", "backups"}, ("instanceRole", "backups"), message
    if settings.backups and settings.backups.bucket and settings.backups.bucket == settings.artifact_bucket:
        message = f"{settings.backups.bucket} is artifactBucket too; who may read the one must not read the other"
        yield {"backups", "artifactBucket"}, ("backups", "bucket"), message
    if settings.instance_role and settings.instance_role.consul and not settings.consul:
        message = "lets the machines' agents into a Consul cluster, and consul is unset; set it, or leave this out"
        yield {"instanceRole", "consul"}, ("instanceRole", "consul"), message
    if settings.consul and settings.service == CONSUL_SERVICE:
        message = f"{settings.service} is what the servers of the cluster are called; choose another name"
        yield {"service", "consul"}, ("service",), message
    is_shut = settings.nat is Nat.NONE and not settings.vpc.is_set
    if settings.consul and is_shut and (lacking := not_reached(services_of(settings.endpoints))):
        message = f"leaves Consul's machines no way to {', '.join(lacking)}; name them in endpoints, or have one"
        yield {"nat", "consul", "endpoints"}, ("nat",), message
    for one, other in itertools.combinations(settings.preview_cidrs, 2):
        if ipaddress.ip_network(one).overlaps(ipaddress.ip_network(other)):
            yield {"previewCidrs"}, ("previewCidrs",), f"{one} and {other} overlap; keep the larger one"
    if settings.zone_names and len(settings.zone_names) != settings.zones:
        message = f"names {len(settings.zone_names)} zones, and zones says {settings.zones}"
        yield {"zoneNames", "zones"}, ("zoneNames",), message
    yield from _of_a_kind(settings)
    if settings.listener and not settings.is_network:
        yield from _behind_an_existing_listener(settings, settings.listener)
    if settings.vpc.is_set:
        yield from _in_an_existing_vpc(settings)
        return
    try:
        room = settings.address_plan.private_addresses
    except AddressPlanError as error:
        yield {"vpcCidr"}, ("vpcCidr",), str(error)
        return
    if settings.most > room:
        warm = " with their warm pools" if settings.warm_pool else ""
        servers = f" and {settings.consul.most} servers of Consul" if settings.consul else ""
        message = (
            f"{settings.vpc_cidr} has {room} addresses for machines; two fleets of maxSize {settings.max_size}{warm}"
            f"{servers} need {settings.most}, since the old and the new one run side by side"
        )
        yield {"vpcCidr", "zones", "maxSize", "warmPool"}, ("vpcCidr",), message


def _of_a_warm_pool(settings: Settings, pool: WarmPool) -> Iterator[Disagreement]:
    for path, message in warm_pool.faults(pool, settings.min_size, settings.max_size):
        yield {"warmPool", "minSize", "maxSize"}, ("warmPool", path), message
    if settings.mixed_instances:
        message = (
            "is for machines of one type, and mixedInstances is set: AWS keeps no Spot machine warm, and which of "
            "several types wait nobody chooses; leave out one of the two"
        )
        yield {"warmPool", "mixedInstances"}, ("warmPool",), message


def _of_a_kind(settings: Settings) -> Iterator[Disagreement]:
    """What the one kind of load balancer has, the other has not."""
    if settings.is_network:
        for path, message in network_balancer.faults(settings):
            yield {"loadBalancer", "healthCheck", "tls", path.split(".")[0]}, (path,), message
        return
    of_the_other = "is of a Network Load Balancer, and loadBalancer is application; leave it out"
    if not settings.speaks_http:
        yield {"loadBalancer", "healthCheck"}, ("healthCheck", "protocol"), of_the_other
    if settings.connection_seconds != type(settings).model_fields["connection_seconds"].default:
        yield {"loadBalancer", "connectionSeconds"}, ("connectionSeconds",), of_the_other
    if settings.idle_timeout_seconds > (most := MAX_IDLE_SECONDS[settings.load_balancer]):
        message = f"{settings.idle_timeout_seconds} should be at most {most} for an Application Load Balancer"
        yield {"loadBalancer", "idleTimeoutSeconds"}, ("idleTimeoutSeconds",), message


def _in_an_existing_vpc(settings: Settings) -> Iterator[Disagreement]:
    """What the stack would make in a VPC of its own, it makes in no other's."""
    asked = {
        "endpoints": bool(settings.endpoints),
        "flowLogs": settings.flow_logs.is_on,
        "ipv6": settings.ipv6,
        "zoneNames": bool(settings.zone_names),
    }
    for key, is_asked in asked.items():
        if is_asked:
            message = "is for a VPC of the stack's own, and vpc names an existing one; leave one of them out"
            yield {key, "vpc"}, (key,), message


def _behind_an_existing_listener(settings: Settings, listener: SharedListener) -> Iterator[Disagreement]:
    """What is a load balancer's, the stack sets for none but its own."""
    fields = type(settings).model_fields
    for name in OF_A_BALANCER:
        if getattr(settings, name) != fields[name].default:
            key = str(fields[name].alias)
            message = "is of a load balancer of the stack's own, and listener names an existing one; leave it out"
            yield {key, "listener"}, (key,), message
    if not settings.vpc.is_set:
        message = "its load balancer is in a VPC that is there already; say which with vpc, by id or tags"
        yield {"listener", "vpc"}, ("listener",), message
    asked = [(f"smokeTests[{at}].path", test.path) for at, test in enumerate(settings.smoke_tests)]
    if settings.attest.is_on:
        asked.append(("attest.path", settings.attest.path))
    for path, message in shared_listener.faults(
        listener,
        preview_networks=max(1, len(settings.preview_cidrs)),
        names=settings.dns.names if settings.dns else (),
        asked=asked,
    ):
        keys = {"listener", "previewCidrs", "dns", "smokeTests", "attest"}
        yield keys, (path,), message
