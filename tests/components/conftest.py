"""The program on Pulumi's mocks, with nothing of AWS: what it declares is kept."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
import pulumi
import pytest
from pulumi.runtime import mocks as pulumi_mocks
from pulumi.runtime.settings import SETTINGS

from bluegreen import program
from bluegreen.components import Stack
from bluegreen.components import stack as stack_module
from bluegreen.components.hooks import ServicePolicy
from bluegreen.errors import BluegreenError
from bluegreen.model.observation import (
    Balancer,
    Bucket,
    Certificate,
    DataVolume,
    Front,
    Group,
    HostedZone,
    KmsKey,
    Subnet,
    Vpc,
)
from bluegreen.model.settings import Settings
from bluegreen.model.tags import Owner

AMI = "ami-0123456789abcdef0"
COMPUTED = {
    "aws:ec2/vpc:Vpc": {
        "region": "us-east-1",
        "ownerId": "123456789012",
        "ipv6CidrBlock": "2600:1f18::/56",
    },
    "aws:ec2/instance:Instance": {"primaryNetworkInterfaceId": "eni-nat"},
    "aws:ec2/launchTemplate:LaunchTemplate": {"latestVersion": 1},
    "aws:lb/loadBalancer:LoadBalancer": {"dnsName": "web.elb.test", "zoneId": "ZELB", "arnSuffix": "app/web/1"},
    "aws:lb/targetGroup:TargetGroup": {"arnSuffix": "targetgroup/web/1"},
    "aws:acm/certificate:Certificate": {
        "domainValidationOptions": [
            {
                "domainName": "shop.example.com",
                "resourceRecordName": "_d9.shop.example.com.",
                "resourceRecordType": "CNAME",
                "resourceRecordValue": "_c9.acm-validations.aws.",
            }
        ]
    },
}
TLS = {"domain": "shop.example.com", "zone": "example.com"}
ARN = "arn:aws:acm:us-east-1:123456789012:certificate/1"
ELB = "arn:aws:elasticloadbalancing:us-east-1:123456789012"


@dataclass
class Declared:
    """Resources in the order in which the program registered them."""

    resources: list[pulumi.runtime.MockResourceArgs] = field(default_factory=list)
    requests: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)

    def of(self, kind: str) -> list[pulumi.runtime.MockResourceArgs]:
        return [each for each in self.resources if each.typ.endswith(f":{kind}")]

    def one(self, kind: str, name: str | None = None) -> dict[str, Any]:
        (found,) = [each for each in self.of(kind) if name in (None, each.name)]
        return dict(found.inputs)

    @property
    def bound(self) -> dict[str, str]:
        """The hook of each resource that has one."""
        names = {
            name: {
                *each.hooks.before_create,
                *each.hooks.before_update,
                *each.hooks.before_delete,
                *each.hooks.after_create,
                *each.hooks.after_update,
            }
            for name, each in self.requests.items()
        }
        return {name: ",".join(sorted(hooks)) for name, hooks in names.items() if hooks}

    def position(self, kind: str, name: str | None = None) -> int:
        return next(
            at for at, each in enumerate(self.resources) if each.typ.endswith(f":{kind}") and name in (None, each.name)
        )


class Monitor(pulumi_mocks.MockMonitor):
    """Also keeps what a resource was registered with besides its inputs: its hooks, for one."""

    def __init__(self, mocks: pulumi.runtime.Mocks, declared: Declared) -> None:
        super().__init__(mocks)
        self._declared = declared

    def RegisterResource(self, request: Any) -> Any:
        self._declared.requests[f"{request.type.rsplit(':', 1)[-1]} {request.name}"] = request
        return super().RegisterResource(request)


class TornRead(grpc.RpcError):
    """As the engine answers a function that failed."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return str(self.args[0])


class Aws(pulumi.runtime.Mocks):
    last_outputs: dict[str, Any] = {}
    torn_reads: list[str] = []

    def __init__(self, declared: Declared) -> None:
        self._declared = declared

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        kind = args.typ.rsplit(":", 1)[-1]
        self._declared.resources.append(args)
        outputs = {"arn": f"arn:{kind}:{args.name}", "name": args.name, **args.inputs, **COMPUTED.get(args.typ, {})}
        return f"{kind}-{args.name}", outputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        if args.token == "pulumi:pulumi:readStackOutputs":
            assert args.args["name"].endswith("/bluegreen/dev")
            if self.torn_reads:
                raise TornRead(self.torn_reads.pop())
            return {"name": args.args["name"], "outputs": self.last_outputs, "secretOutputNames": []}
        if args.token == "aws:index/getCallerIdentity:getCallerIdentity":
            return {"accountId": "123456789012", "arn": "arn:aws:iam::123456789012:user/ci", "id": "x", "userId": "x"}
        if args.token == "aws:ssm/getParameter:getParameter":
            return {"name": args.args["name"], "value": args.args["name"]}
        assert args.token == "aws:index/getAvailabilityZones:getAvailabilityZones"
        return {"names": ["us-east-1c", "us-east-1a", "us-east-1b"], "zoneIds": [], "id": "x", "region": "us-east-1"}


class FakeObserver:
    running: tuple[Group, ...] = ()
    own: tuple[Vpc, ...] = (Vpc(id="vpc-own", cidr="10.0.0.0/16"),)
    there: tuple[Vpc, ...] = ()
    in_it: tuple[Subnet, ...] = ()
    calls: list[str] = []

    def __init__(self, session: object) -> None:
        self.calls.clear()

    def groups(self, owner: Owner) -> tuple[Group, ...]:
        self.calls.append("groups")
        return self.running

    def active_of(self, groups: list[Group]) -> Group | None:
        return next(iter(groups), None)

    def vpcs(self, *, vpc_id: str = "", tags: Mapping[str, str] | None = None) -> tuple[Vpc, ...]:
        self.calls.append("vpcs")
        return self.there if vpc_id or not (tags or {}).get("bluegreen:stack") else self.own

    def subnets(self, vpc: str) -> tuple[Subnet, ...]:
        self.calls.append("subnets")
        return self.in_it

    @property
    def region(self) -> str:
        return "us-east-1"

    hosted: tuple[HostedZone, ...] = (HostedZone(id="Z1", name="example.com"),)

    def account(self) -> str:
        return "123456789012"

    def certificate(self, arn: str) -> Certificate | None:
        return Certificate(arn=arn, status="ISSUED", names=("*.example.com",)) if arn == ARN else None

    def has_tls_policy(self, name: str) -> bool:
        return name.startswith("ELBSecurityPolicy-TLS13")

    def hosted_zones(self, zone: str) -> tuple[HostedZone, ...]:
        return tuple(each for each in self.hosted if zone in (each.id, each.name))

    def bucket_region(self, bucket: str) -> str | None:
        return {"my-logs": "us-east-1", "far-logs": "eu-west-1", "their-logs": ""}.get(bucket)

    buckets: dict[str, Bucket] = {}
    keys: dict[str, KmsKey] = {}
    scales: bool = True

    def bucket(self, name: str, account: str) -> Bucket | None:
        assert account == self.account()
        return self.buckets.get(name)

    def kms_key(self, arn: str) -> KmsKey | None:
        return self.keys.get(arn)

    def kms_key_of(self, alias: str) -> KmsKey | None:
        return self.keys.get(alias)

    def has_auto_scaling_role(self) -> bool:
        return self.scales

    def has_web_acl(self, arn: str) -> bool:
        return arn.endswith("/known")

    balancer: Balancer | None = None

    def balancer_of(self, target_groups: Iterable[str]) -> Balancer | None:
        own = Balancer(arn=f"{ELB}:loadbalancer/app/web-1/1", vpc="vpc-own", is_internal=False)
        return (self.balancer or own) if self.running else None

    fronts: tuple[Front, ...] = ()

    def front(self, listener: str, priorities: Collection[int]) -> Front | None:
        self.calls.append("front")
        return next((each for each in self.fronts if each.listener == listener), None)

    held: tuple[DataVolume, ...] = ()

    def volumes(self, tags: Mapping[str, str], ids: Iterable[str] = ()) -> tuple[DataVolume, ...]:
        self.calls.append("volumes")
        return self.held


class FakeHook(pulumi.ResourceHook):
    """The SDK's mocks have no engine to register hooks with: this one takes itself for registered."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._registered = asyncio.get_event_loop().create_future()
        self._registered.set_result(None)


class FakeHooks:
    made = 0
    refused: list[str] = []

    def __init__(self, session: object, admission: object, place: object) -> None:
        FakeHooks.made += 1
        self._image, self._gate, self._guard = FakeHook("image"), FakeHook("gate"), FakeHook("guard")
        self._cutover = FakeHook("cutover")
        self.refusals: list[str] = []
        FakeHooks.refused = self.refusals

    def refuse(self, error: BluegreenError) -> None:
        self.refusals.append(str(error))

    def launching_in(self, service: str, zones: object) -> None:
        """Nothing is launched."""

    def checking_image(self) -> pulumi.ResourceHookBinding:
        return pulumi.ResourceHookBinding(before_create=[self._image])

    def gated(self, owner: Owner, policy: ServicePolicy) -> pulumi.ResourceHookBinding:
        return pulumi.ResourceHookBinding(
            before_create=[self._gate],
            before_update=[self._gate],
            after_create=[self._cutover],
            after_update=[self._cutover],
        )

    def guarding_machines(self) -> pulumi.ResourceHookBinding:
        return pulumi.ResourceHookBinding(before_delete=[self._guard], before_update=[self._guard])

    def guarding_part(self, name: str) -> pulumi.ResourceHookBinding:
        return pulumi.ResourceHookBinding(before_delete=[self._guard])


def drop_what_waits(loop: asyncio.AbstractEventLoop) -> None:
    """A program that ended early leaves outputs that nobody waits for."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(stack_module, "Hooks", FakeHooks)
    monkeypatch.setattr(FakeHooks, "made", 0)
    monkeypatch.setattr(stack_module, "Observer", FakeObserver)

    def run(declare: Callable[[Stack], None] = program.declare, **config: Any) -> Declared:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        declared = Declared()
        mocks = Aws(declared)
        pulumi.runtime.set_mocks(mocks, project="bluegreen", stack="dev", monitor=Monitor(mocks, declared))
        SETTINGS.outputs.clear()  # a program that ended early, in a loop that is over, has left some
        monkeypatch.setattr(pulumi, "export", declared.outputs.__setitem__)
        settings = Settings.parse({"ami": AMI, **config})
        made = lambda: Stack(settings, None)  # type: ignore[arg-type]  # noqa: E731
        monkeypatch.setattr(Stack, "of_config", made)
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        try:
            loop.run_until_complete(pulumi.runtime.stack.run_pulumi_func(lambda: program.run(declare)))
            outputs = {name: loop.run_until_complete(each.future()) for name, each in declared.outputs.items()}
        finally:
            drop_what_waits(loop)
        declared.outputs = outputs
        return declared

    return run
