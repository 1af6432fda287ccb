"""moto as it comes: every gap that the sandbox fills is still there. One that has closed is to be dropped."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from moto import mock_aws

from sandbox.cloud.moto_gaps import gaps
from tests.docs.moto_gaps import PAGE, page
from tests.sandbox.cloud.keys import KeyPair

GAPS = {gap.name: (area, gap) for area, gap in gaps()}
NO_PROBE = {"image-disks": "moto has no disks to look at"}
ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012"
Probe = Callable[["Plain"], bool]
PROBES: dict[str, Probe] = {}


class Plain:
    """moto without the sandbox: a network, an image, and what a probe needs of the rest. Names are new each time."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.ec2, self.elb, self.autoscaling = self.client("ec2"), self.client("elbv2"), self.client("autoscaling")
        self.vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [self.subnet("a"), self.subnet("b")]
        self.image = self.ec2.register_image(Name=self.name(), Architecture="x86_64")["ImageId"]

    def client(self, service: str, region: str = "us-east-1", **keys: str) -> Any:
        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x"} | keys
        return boto3.client(service, region_name=region, **keys, config=Config(parameter_validation=False))  # type: ignore[call-overload]

    def name(self) -> str:
        return f"n{next(self._numbers)}"

    def subnet(self, zone: str) -> str:
        cidr = f"10.0.{next(self._numbers)}.0/24"
        made = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=cidr, AvailabilityZone=f"us-east-1{zone}")
        return str(made["Subnet"]["SubnetId"])

    def run(self, **options: Any) -> str:
        given = {"ImageId": self.image, "MinCount": 1, "MaxCount": 1, "SubnetId": self.subnets[0]}
        given = {key: value for key, value in (given | options).items() if value is not None}
        return str(self.ec2.run_instances(**given)["Instances"][0]["InstanceId"])

    def instance(self, id: str) -> dict[str, Any]:
        return dict(self.ec2.describe_instances(InstanceIds=[id])["Reservations"][0]["Instances"][0])

    def template(self, **data: Any) -> str:
        made = self.ec2.create_launch_template(
            LaunchTemplateName=f"lt-{self.name()}", LaunchTemplateData={"ImageId": self.image} | data
        )
        return str(made["LaunchTemplate"]["LaunchTemplateId"])

    def launched_by(self, template: str) -> dict[str, Any]:
        return self.instance(self.run(ImageId=None, LaunchTemplate={"LaunchTemplateId": template}))

    def group(self, **options: Any) -> str:
        name = self.name()
        given = {"MinSize": 0, "MaxSize": 1, "DesiredCapacity": 0, "VPCZoneIdentifier": self.subnets[0]}
        template = {"LaunchTemplateId": self.template(), "Version": "1"}
        self.autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=name, LaunchTemplate=template, **given | options
        )
        return name

    def group_of(self, name: str) -> dict[str, Any]:
        groups = self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        return dict(groups[0]) if groups else {}

    def target_group(self, **options: Any) -> str:
        given = {"Name": self.name(), "Protocol": "HTTP", "Port": 80, "VpcId": self.vpc}
        return str(self.elb.create_target_group(**given | options)["TargetGroups"][0]["TargetGroupArn"])

    def balancer(self, **options: Any) -> str:
        given = {"Name": self.name(), "Subnets": self.subnets}
        return str(self.elb.create_load_balancer(**given | options)["LoadBalancers"][0]["LoadBalancerArn"])

    def listener(self, balancer: str, group: str, port: int = 80) -> str:
        actions = [{"Type": "forward", "TargetGroupArn": group}]
        made = self.elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=port, DefaultActions=actions)
        return str(made["Listeners"][0]["ListenerArn"])

    def health(self, group: str) -> list[str]:
        found = self.elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        return [it["TargetHealth"]["State"] for it in found]


def probe(name: str) -> Callable[[Probe], Probe]:
    """Whether the gap of this name is there."""

    def put(ask: Probe) -> Probe:
        PROBES[name] = ask
        return ask

    return put


def refuses(call: Callable[..., Any], **arguments: Any) -> bool:
    try:
        call(**arguments)
    except ClientError:
        return True
    return False


def takes(call: Callable[..., Any], **arguments: Any) -> bool:
    return not refuses(call, **arguments)


@pytest.fixture(scope="module")
def plain() -> Iterator[Plain]:
    with mock_aws():
        yield Plain()


@pytest.mark.parametrize("name", [name for name in GAPS if name not in NO_PROBE])
def test_moto_still_has_the_gap(plain: Plain, name: str) -> None:
    area, gap = GAPS[name]
    assert PROBES[name](plain), (
        f"moto {version('moto')} closed this gap; drop it from moto_gaps/{area}.py: it {gap.moto}"
    )


def test_every_gap_has_a_probe_or_a_reason_for_none() -> None:
    assert PROBES.keys() | NO_PROBE.keys() == GAPS.keys()
    assert len(GAPS) == len(list(gaps()))


def test_the_page_lists_the_gaps() -> None:
    assert PAGE.read_text() == page(), "run `make docs`"


def test_a_gap_was_seen_in_the_moto_that_is_installed() -> None:
    assert {gap.seen_in for _, gap in GAPS.values()} == {version("moto")}


@probe("instance-states")
def instance_states(plain: Plain) -> bool:
    id = plain.run()
    was_running = plain.instance(id)["State"]["Name"] == "running"
    plain.ec2.terminate_instances(InstanceIds=[id])
    return was_running and plain.instance(id)["State"]["Name"] == "terminated"


@probe("root-device")
def root_device(plain: Plain) -> bool:
    device = {"DeviceName": "/dev/sda1", "Ebs": {"Encrypted": True}}
    return refuses(plain.run, BlockDeviceMappings=[device])


@probe("template-metadata")
def template_metadata(plain: Plain) -> bool:
    found = plain.launched_by(plain.template(MetadataOptions={"HttpTokens": "required"}))
    return bool(found["MetadataOptions"]["HttpTokens"] != "required")


@probe("template-profile")
def template_profile(plain: Plain) -> bool:
    name = plain.name()
    plain.client("iam").create_instance_profile(InstanceProfileName=name)
    return "IamInstanceProfile" not in plain.launched_by(plain.template(IamInstanceProfile={"Name": name}))


@probe("template-interfaces")
def template_interfaces(plain: Plain) -> bool:
    group = plain.ec2.create_security_group(GroupName=plain.name(), Description="d", VpcId=plain.vpc)["GroupId"]
    interface = {"DeviceIndex": 0, "Groups": [group], "SubnetId": plain.subnets[0]}
    found = plain.launched_by(plain.template(NetworkInterfaces=[interface]))
    return group not in {it["GroupId"] for it in found["SecurityGroups"]}


@probe("termination-protection")
def termination_protection(plain: Plain) -> bool:
    return takes(plain.ec2.terminate_instances, InstanceIds=[plain.run(DisableApiTermination=True)])


@probe("launch-names")
def launch_names(plain: Plain) -> bool:
    return takes(plain.run, KeyName="nobodys")


@probe("user-data-size")
def user_data_size(plain: Plain) -> bool:
    return takes(plain.run, UserData="x" * 20_000)


@probe("console")
def console(plain: Plain) -> bool:
    return "2006" in str(plain.ec2.get_console_output(InstanceId=plain.run()))


@probe("vcpu-quota")
def vcpu_quota(plain: Plain) -> bool:
    quotas = plain.client("service-quotas")
    is_known = takes(quotas.get_service_quota, ServiceCode="ec2", QuotaCode="L-1216C47A")
    return not is_known and takes(plain.run, InstanceType="m5.24xlarge")


@probe("image-names")
def image_names(plain: Plain) -> bool:
    id = plain.run()
    plain.ec2.create_image(InstanceId=id, Name="same")
    return takes(plain.ec2.create_image, InstanceId=id, Name="same")


@probe("image-tags")
def image_tags(plain: Plain) -> bool:
    tags = [{"ResourceType": kind, "Tags": [{"Key": "a", "Value": kind}]} for kind in ("image", "snapshot")]
    try:
        return refuses(plain.ec2.create_image, InstanceId=plain.run(), Name=plain.name(), TagSpecifications=tags)
    except NotImplementedError:
        return True


@probe("group-launches")
def group_launches(plain: Plain) -> bool:
    instances = plain.group_of(plain.group(DesiredCapacity=1))["Instances"]
    return [it["LifecycleState"] for it in instances] == ["InService"]


@probe("capacity-limits")
def capacity_limits(plain: Plain) -> bool:
    name = plain.group()
    return takes(plain.autoscaling.set_desired_capacity, AutoScalingGroupName=name, DesiredCapacity=3)


@probe("grace-period")
def grace_period(plain: Plain) -> bool:
    return bool(plain.group_of(plain.group())["HealthCheckGracePeriod"] == 300)


@probe("force-delete")
def force_delete(plain: Plain) -> bool:
    return takes(plain.autoscaling.delete_auto_scaling_group, AutoScalingGroupName=plain.group(DesiredCapacity=1))


def put_policy(plain: Plain, group: str) -> None:
    metric = {"PredefinedMetricType": "ASGAverageCPUUtilization"}
    plain.autoscaling.put_scaling_policy(
        AutoScalingGroupName=group,
        PolicyName="p",
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration={"PredefinedMetricSpecification": metric, "TargetValue": 50},
    )


@probe("policies-left")
def policies_left(plain: Plain) -> bool:
    name = plain.group()
    put_policy(plain, name)
    plain.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=name)
    return bool(plain.autoscaling.describe_policies(AutoScalingGroupName=name)["ScalingPolicies"])


@probe("policies-of-nobody")
def policies_of_nobody(plain: Plain) -> bool:
    return takes(lambda: put_policy(plain, "nobody"))


@probe("scaling-activities")
def scaling_activities(plain: Plain) -> bool:
    name = plain.group(DesiredCapacity=1)
    try:
        return not plain.autoscaling.describe_scaling_activities(AutoScalingGroupName=name)["Activities"]
    except NotImplementedError:
        return True


@probe("health-of-a-stranger")
def health_of_a_stranger(plain: Plain) -> bool:
    try:
        return takes(plain.autoscaling.set_instance_health, InstanceId=plain.run(), HealthStatus="Unhealthy")
    except (RuntimeError, StopIteration):
        return True


LAUNCHING = {"LifecycleHookName": "h", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING"}


@probe("hooks-at-creation")
def hooks_at_creation(plain: Plain) -> bool:
    name = plain.group(LifecycleHookSpecificationList=[LAUNCHING])
    return not plain.autoscaling.describe_lifecycle_hooks(AutoScalingGroupName=name)["LifecycleHooks"]


@probe("lifecycle-actions")
def lifecycle_actions(plain: Plain) -> bool:
    try:
        plain.autoscaling.complete_lifecycle_action(
            AutoScalingGroupName="g", LifecycleHookName="h", LifecycleActionResult="CONTINUE", InstanceId="i-0"
        )
    except NotImplementedError:
        return True
    return False


@probe("hook-fields")
def hook_fields(plain: Plain) -> bool:
    name = plain.group()
    plain.autoscaling.put_lifecycle_hook(AutoScalingGroupName=name, **LAUNCHING)
    (found,) = plain.autoscaling.describe_lifecycle_hooks(AutoScalingGroupName=name)["LifecycleHooks"]
    return "RoleARN" in found


@probe("kept-in-vain")
def kept_in_vain(plain: Plain) -> bool:
    named = {"AutoScalingGroupName": plain.group(), "ShouldDecrementDesiredCapacity": True}
    return takes(plain.autoscaling.enter_standby, InstanceIds=[], **named)


@probe("warm-pool")
def warm_pool(plain: Plain) -> bool:
    name = plain.group()
    plain.autoscaling.put_warm_pool(AutoScalingGroupName=name, MinSize=1)
    return not plain.autoscaling.describe_warm_pool(AutoScalingGroupName=name)["Instances"]


def mixed(plain: Plain, *weights: str | None) -> str:
    """The name of a group that mixes types of these weights."""
    template = plain.ec2.create_launch_template(
        LaunchTemplateName=(name := plain.name()),
        LaunchTemplateData={"ImageId": plain.image, "InstanceType": "t3.small"},
    )
    spec = {"LaunchTemplateId": template["LaunchTemplate"]["LaunchTemplateId"], "Version": "1"}
    types = [{"InstanceType": f"t3.{size}"} for size in ("small", "medium")]
    overrides = [
        it | ({"WeightedCapacity": weight} if weight else {}) for it, weight in zip(types, weights, strict=True)
    ]
    plain.autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=1,
        MaxSize=2,
        VPCZoneIdentifier=plain.subnets[0],
        MixedInstancesPolicy={"LaunchTemplate": {"LaunchTemplateSpecification": spec, "Overrides": overrides}},
    )
    return name


@probe("mixed-policy")
def mixed_policy(plain: Plain) -> bool:
    name = mixed(plain, None, None)
    plain.autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, MaxSize=3)
    (group,) = plain.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return "MixedInstancesPolicy" not in group


@probe("weights")
def weights(plain: Plain) -> bool:
    name = mixed(plain, "1000", None)
    (group,) = plain.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return not any("WeightedCapacity" in each for each in group["Instances"])


@probe("auto-scaling-role")
def auto_scaling_role(plain: Plain) -> bool:
    plain.group()
    return not plain.client("iam").list_roles(PathPrefix="/aws-service-role/")["Roles"]


@probe("bucket-conditions")
def bucket_conditions(plain: Plain) -> bool:
    s3, name = plain.client("s3"), plain.name()
    s3.create_bucket(Bucket=name)
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{name}/*"}
    elsewhere = statement | {"Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.1/32"}}}
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [elsewhere]}))
    return refuses(s3.put_object, Bucket=name, Key="it", Body=b"")


@probe("key-usage")
def key_usage(plain: Plain) -> bool:
    return not plain.client("kms").create_key()["KeyMetadata"].get("KeyUsage")


@probe("instance-refresh")
def instance_refresh(plain: Plain) -> bool:
    try:
        plain.autoscaling.start_instance_refresh(AutoScalingGroupName=plain.group())
    except NotImplementedError:
        return True
    return False


@probe("maintenance-policy")
def maintenance_policy(plain: Plain) -> bool:
    name = plain.group(InstanceMaintenancePolicy={"MinHealthyPercentage": 90, "MaxHealthyPercentage": 110})
    return "InstanceMaintenancePolicy" not in plain.group_of(name)


ACTION = {"ScheduledActionName": "morning", "Recurrence": "0 8 * * *", "MinSize": 0}


@probe("schedules-of-groups")
def schedules_of_groups(plain: Plain) -> bool:
    one, other = plain.group(), plain.group()
    for name in (one, other):
        plain.autoscaling.put_scheduled_update_group_action(AutoScalingGroupName=name, **ACTION)
    found = plain.autoscaling.describe_scheduled_actions(AutoScalingGroupName=one)
    return not found["ScheduledUpdateGroupActions"]


@probe("schedules-run")
def schedules_run(plain: Plain) -> bool:
    put = plain.autoscaling.put_scheduled_update_group_action
    return takes(put, AutoScalingGroupName="gone", **ACTION | {"Recurrence": "whenever"})


@probe("policy-enabled")
def policy_enabled(plain: Plain) -> bool:
    plain.autoscaling.put_scaling_policy(
        AutoScalingGroupName=plain.group(),
        PolicyName="p",
        PolicyType="StepScaling",
        AdjustmentType="ChangeInCapacity",
        StepAdjustments=[{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        Enabled=False,
    )
    (found,) = plain.autoscaling.describe_policies(PolicyNames=["p"])["ScalingPolicies"]
    return "Enabled" not in found


@probe("target-health")
def target_health(plain: Plain) -> bool:
    group = plain.target_group()
    plain.listener(plain.balancer(), group)
    plain.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": plain.run()}])
    return plain.health(group) == ["healthy"]


@probe("draining")
def draining(plain: Plain) -> bool:
    group, target = plain.target_group(), [{"Id": plain.run()}]
    plain.listener(plain.balancer(), group)
    plain.elb.register_targets(TargetGroupArn=group, Targets=target)
    plain.elb.deregister_targets(TargetGroupArn=group, Targets=target)
    return "draining" not in plain.health(group)


@probe("deregister-a-stranger")
def deregister_a_stranger(plain: Plain) -> bool:
    return refuses(plain.elb.deregister_targets, TargetGroupArn=plain.target_group(), Targets=[{"Id": plain.run()}])


@probe("duplicate-listener")
def duplicate_listener(plain: Plain) -> bool:
    balancer, group = plain.balancer(), plain.target_group()
    plain.listener(balancer, group)
    return takes(plain.listener, balancer=balancer, group=group)


@probe("duplicate-balancer")
def duplicate_balancer(plain: Plain) -> bool:
    plain.balancer(Name="same")
    return takes(plain.balancer, Name="same")


@probe("deletion-protection")
def deletion_protection(plain: Plain) -> bool:
    balancer = plain.balancer()
    protection = [{"Key": "deletion_protection.enabled", "Value": "true"}]
    plain.elb.modify_load_balancer_attributes(LoadBalancerArn=balancer, Attributes=protection)
    return takes(plain.elb.delete_load_balancer, LoadBalancerArn=balancer)


@probe("balancer-address")
def balancer_address(plain: Plain) -> bool:
    found = plain.elb.describe_load_balancers(LoadBalancerArns=[plain.balancer()])["LoadBalancers"][0]
    return bool(found["DNSName"].endswith(".amazonaws.com"))


@probe("network-arns")
def network_arns(plain: Plain) -> bool:
    return ":loadbalancer/app/" in plain.balancer(Type="network")


@probe("network-attributes")
def network_attributes(plain: Plain) -> bool:
    attributes = [{"Key": "slow_start.duration_seconds", "Value": "30"}]
    group = plain.target_group(Protocol="TCP")
    return takes(plain.elb.modify_target_group_attributes, TargetGroupArn=group, Attributes=attributes)


@probe("network-health-checks")
def network_health_checks(plain: Plain) -> bool:
    group = plain.target_group(Protocol="TCP", HealthCheckProtocol="HTTP", HealthCheckPath="/")
    found = plain.elb.describe_target_groups(TargetGroupArns=[group])["TargetGroups"][0]
    return bool(found["Matcher"] == {"HttpCode": "200"})


@probe("network-listeners")
def network_listeners(plain: Plain) -> bool:
    return takes(plain.listener, balancer=plain.balancer(), group=plain.target_group(Protocol="TCP"))


@probe("network-tls")
def network_tls(plain: Plain) -> bool:
    balancer, group = plain.balancer(Type="network"), plain.target_group(Protocol="TCP")
    actions = [{"Type": "forward", "TargetGroupArn": group}]
    made = plain.elb.create_listener(LoadBalancerArn=balancer, Protocol="TCP", Port=80, DefaultActions=actions)
    arn = made["Listeners"][0]["ListenerArn"]
    return refuses(plain.elb.modify_listener, ListenerArn=arn, Protocol="TLS", DefaultActions=actions)


@probe("network-security-groups")
def network_security_groups(plain: Plain) -> bool:
    group = plain.ec2.create_security_group(GroupName=plain.name(), Description="d", VpcId=plain.vpc)["GroupId"]
    balancer = plain.balancer(Type="network")
    return takes(plain.elb.set_security_groups, LoadBalancerArn=balancer, SecurityGroups=[group])


@probe("modified-actions")
def modified_actions(plain: Plain) -> bool:
    listener = plain.listener(plain.balancer(), plain.target_group())
    actions = [{"Type": "forward", "TargetGroupArn": f"{ARN}:targetgroup/nobody/0"}]
    return takes(plain.elb.modify_listener, ListenerArn=listener, DefaultActions=actions)


@probe("mixed-stickiness")
def mixed_stickiness(plain: Plain) -> bool:
    groups = [plain.target_group(), plain.target_group()]
    sticky = [{"Key": "stickiness.enabled", "Value": "true"}]
    plain.elb.modify_target_group_attributes(TargetGroupArn=groups[0], Attributes=sticky)
    config = {"TargetGroups": [{"TargetGroupArn": group, "Weight": 1} for group in groups]}
    return takes(
        plain.elb.create_listener,
        LoadBalancerArn=plain.balancer(),
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "ForwardConfig": config}],
    )


@probe("redirect-loops")
def redirect_loops(plain: Plain) -> bool:
    same = {"Protocol": "#{protocol}", "Port": "#{port}", "StatusCode": "HTTP_301"}
    return takes(
        plain.elb.create_listener,
        LoadBalancerArn=plain.balancer(),
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "redirect", "RedirectConfig": same}],
    )


def secure_listener(plain: Plain, certificate: str) -> dict[str, Any]:
    return {
        "LoadBalancerArn": plain.balancer(),
        "Protocol": "HTTPS",
        "Port": 443,
        "Certificates": [{"CertificateArn": certificate}],
        "DefaultActions": [{"Type": "forward", "TargetGroupArn": plain.target_group()}],
    }


@probe("unissued-certificates")
def unissued_certificates(plain: Plain) -> bool:
    acm = plain.client("acm")
    pending = acm.request_certificate(DomainName="web.example", ValidationMethod="EMAIL")["CertificateArn"]
    return takes(plain.elb.create_listener, **secure_listener(plain, pending))


@probe("certificates-in-use")
def certificates_in_use(plain: Plain) -> bool:
    acm, pair = plain.client("acm"), KeyPair.signed_by_itself("web.example")
    arn = acm.import_certificate(Certificate=pair.certificate, PrivateKey=pair.key)["CertificateArn"]
    plain.elb.create_listener(**secure_listener(plain, arn))
    return takes(acm.delete_certificate, CertificateArn=arn)


@probe("self-signed-certificates")
def self_signed_certificates(plain: Plain) -> bool:
    acm = plain.client("acm")
    arn = acm.request_certificate(DomainName="web.example", ValidationMethod="DNS")["CertificateArn"]
    made = x509.load_pem_x509_certificate(acm.get_certificate(CertificateArn=arn)["Certificate"].encode())
    key, algorithm = made.public_key(), made.signature_hash_algorithm
    assert isinstance(key, rsa.RSAPublicKey)
    assert algorithm
    try:
        key.verify(made.signature, made.tbs_certificate_bytes, padding.PKCS1v15(), algorithm)
    except InvalidSignature:
        return False
    return True


@probe("issued-unseen")
def issued_unseen(plain: Plain) -> bool:
    acm = plain.client("acm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("moto.settings.ACM_VALIDATION_WAIT", -1)  # in place of a minute
        arn = acm.request_certificate(DomainName="web.example", ValidationMethod="DNS")["CertificateArn"]
        return bool(acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "ISSUED")


def change_record(plain: Plain, *others: str) -> Callable[[str, str], None]:
    """Of a zone that is made for it, with other records in it: an action, and the record's value."""
    dns, name = plain.client("route53"), f"{plain.name()}.example"
    zone = dns.create_hosted_zone(Name=name, CallerReference=name)["HostedZone"]["Id"]

    def change(action: str, value: str, host: str = "www") -> None:
        record = {"Name": f"{host}.{name}", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": value}]}
        changes = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
        dns.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=changes)

    for host in others:
        change("CREATE", "192.0.2.9", host)
    return change


@probe("second-records")
def second_records(plain: Plain) -> bool:
    change = change_record(plain)
    change("CREATE", "192.0.2.1")
    return takes(change, action="CREATE", value="192.0.2.2")


@probe("records-that-return")
def records_that_return(plain: Plain) -> bool:
    change = change_record(plain, "xxx")
    change("CREATE", "192.0.2.1")
    change("DELETE", "192.0.2.1")
    return refuses(change, action="CREATE", value="192.0.2.1")


@probe("rule-description")
def rule_description(plain: Plain) -> bool:
    groups = [
        plain.ec2.create_security_group(GroupName=plain.name(), Description="d", VpcId=plain.vpc)["GroupId"]
        for _ in range(2)
    ]
    source = {"GroupId": groups[1], "Description": "from there"}
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [source]}
    plain.ec2.authorize_security_group_ingress(GroupId=groups[0], IpPermissions=[rule])
    filters = [{"Name": "group-id", "Values": [groups[0]]}]
    rules = plain.ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
    return "from there" not in {it.get("Description") for it in rules}


@probe("template-tags")
def template_tags(plain: Plain) -> bool:
    tags = [{"ResourceType": "launch-template", "Tags": [{"Key": "a", "Value": "b"}]}]
    made = plain.ec2.create_launch_template(
        LaunchTemplateName=f"lt-{plain.name()}", LaunchTemplateData={"ImageId": plain.image}, TagSpecifications=tags
    )["LaunchTemplate"]
    versions = plain.ec2.describe_launch_template_versions(LaunchTemplateId=made["LaunchTemplateId"])
    return "TagSpecifications" in versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]


@probe("foreign-images")
def foreign_images(plain: Plain) -> bool:
    image = plain.ec2.create_image(InstanceId=plain.run(), Name=plain.name())["ImageId"]
    permission = {"Add": [{"UserId": "111122223333"}]}
    plain.ec2.modify_image_attribute(ImageId=image, Attribute="launchPermission", LaunchPermission=permission)
    role = {"RoleArn": "arn:aws:iam::111122223333:role/r", "RoleSessionName": "s"}
    keys = plain.client("sts").assume_role(**role)["Credentials"]
    other = plain.client(
        "ec2",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    return refuses(other.describe_images, ImageIds=[image])


@probe("copy-at-once")
def copy_at_once(plain: Plain) -> bool:
    image = plain.ec2.create_image(InstanceId=plain.run(), Name=plain.name())["ImageId"]
    copied = plain.ec2.copy_image(SourceImageId=image, SourceRegion="us-east-1", Name=plain.name())["ImageId"]
    return bool(plain.ec2.describe_images(ImageIds=[copied])["Images"][0]["State"] == "available")


@probe("managed-keys")
def managed_keys(plain: Plain) -> bool:
    plain.ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, Encrypted=True)  # moto makes aws/ebs for it
    found = plain.client("kms").describe_key(KeyId="alias/aws/ebs")["KeyMetadata"]
    return bool(found["KeyManager"] != "AWS")


@probe("sharing-the-unsharable")
def sharing_the_unsharable(plain: Plain) -> bool:
    volume = plain.ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, Encrypted=True)["VolumeId"]
    snapshot = plain.ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    return takes(
        plain.ec2.modify_snapshot_attribute,
        SnapshotId=snapshot,
        Attribute="createVolumePermission",
        OperationType="add",
        UserIds=["111122223333"],
    )


@probe("alarms")
def alarms(plain: Plain) -> bool:
    cloudwatch = plain.client("cloudwatch")
    cloudwatch.put_metric_data(Namespace="Shop", MetricData=[{"MetricName": "Failures", "Value": 5}])
    cloudwatch.put_metric_alarm(
        AlarmName="failures",
        Namespace="Shop",
        MetricName="Failures",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    return bool(cloudwatch.describe_alarms(AlarmNames=["failures"])["MetricAlarms"][0]["StateValue"] == "OK")


@probe("metric-math")
def metric_math(plain: Plain) -> bool:
    cloudwatch = plain.client("cloudwatch")
    cloudwatch.put_metric_data(Namespace="Shop", MetricData=[{"MetricName": "Orders", "Value": 5}])
    stat = {"Metric": {"Namespace": "Shop", "MetricName": "Orders"}, "Period": 60, "Stat": "Sum"}
    queries = [{"Id": "m", "MetricStat": stat}, {"Id": "e", "Expression": "m * 2"}]
    now = datetime.now(UTC)
    span = {"StartTime": now - timedelta(minutes=5), "EndTime": now + timedelta(minutes=5)}
    found = cloudwatch.get_metric_data(MetricDataQueries=queries, **span)["MetricDataResults"]
    return [10.0] not in [it["Values"] for it in found]


@probe("reserved-namespace")
def reserved_namespace(plain: Plain) -> bool:
    data = [{"MetricName": "RequestCount", "Value": 5}]
    return takes(plain.client("cloudwatch").put_metric_data, Namespace="AWS/ApplicationELB", MetricData=data)


@probe("metrics-of-traffic")
def metrics_of_traffic(plain: Plain) -> bool:
    plain.listener(plain.balancer(), plain.target_group())
    return not plain.client("cloudwatch").list_metrics(MetricName="HealthyHostCount")["Metrics"]


@probe("subnets-in-use")
def subnets_in_use(plain: Plain) -> bool:
    subnet = plain.subnet("a")
    plain.run(SubnetId=subnet)
    return takes(plain.ec2.delete_subnet, SubnetId=subnet)


@probe("security-groups-in-use")
def security_groups_in_use(plain: Plain) -> bool:
    group = plain.ec2.create_security_group(GroupName=plain.name(), Description="d", VpcId=plain.vpc)["GroupId"]
    plain.run(SecurityGroupIds=[group])
    return takes(plain.ec2.delete_security_group, GroupId=group)


@probe("gateways-in-use")
def gateways_in_use(plain: Plain) -> bool:
    gateway = plain.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    plain.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=plain.vpc)
    plain.balancer()
    return takes(plain.ec2.detach_internet_gateway, InternetGatewayId=gateway, VpcId=plain.vpc)


def volume(plain: Plain, zone: str = "a") -> str:
    made = plain.ec2.create_volume(AvailabilityZone=f"us-east-1{zone}", Size=10, VolumeType="gp3")
    return str(made["VolumeId"])


def interface(plain: Plain, subnet: int = 0, **more: Any) -> str:
    made = plain.ec2.create_network_interface(SubnetId=plain.subnets[subnet], **more)
    return str(made["NetworkInterface"]["NetworkInterfaceId"])


def launch_with(plain: Plain, interface: str) -> str:
    spec = {"DeviceIndex": 0, "NetworkInterfaceId": interface}
    return plain.run(SubnetId=None, InstanceType="t3.small", NetworkInterfaces=[spec])


@probe("volumes-elsewhere")
def volumes_elsewhere(plain: Plain) -> bool:
    return takes(plain.ec2.attach_volume, VolumeId=volume(plain, "b"), InstanceId=plain.run(), Device="/dev/sdf")


@probe("volumes-in-use")
def volumes_in_use(plain: Plain) -> bool:
    made = volume(plain)
    plain.ec2.attach_volume(VolumeId=made, InstanceId=plain.run(), Device="/dev/sdf")
    return takes(plain.ec2.attach_volume, VolumeId=made, InstanceId=plain.run(), Device="/dev/sdf")


@probe("devices-in-use")
def devices_in_use(plain: Plain) -> bool:
    instance = plain.run()
    plain.ec2.attach_volume(VolumeId=volume(plain), InstanceId=instance, Device="/dev/sdf")
    return takes(plain.ec2.attach_volume, VolumeId=volume(plain), InstanceId=instance, Device="/dev/sdf")


@probe("detached-volumes")
def detached_volumes(plain: Plain) -> bool:
    made = volume(plain)
    plain.ec2.attach_volume(VolumeId=made, InstanceId=plain.run(), Device="/dev/sdf")
    with pytest.raises(TypeError):
        plain.ec2.detach_volume(VolumeId=made)
    return True


@probe("smaller-volumes")
def smaller_volumes(plain: Plain) -> bool:
    return takes(plain.ec2.modify_volume, VolumeId=volume(plain), Size=5)


@probe("interfaces-in-use")
def interfaces_in_use(plain: Plain) -> bool:
    made = interface(plain)
    launch_with(plain, made)
    return bool(launch_with(plain, made))


@probe("interfaces-zone")
def interfaces_zone(plain: Plain) -> bool:
    instance = launch_with(plain, interface(plain, subnet=1))
    return bool(plain.instance(instance)["Placement"]["AvailabilityZone"] == "us-east-1a")


@probe("interfaces-left")
def interfaces_left(plain: Plain) -> bool:
    made = interface(plain)
    plain.ec2.terminate_instances(InstanceIds=[launch_with(plain, made)])
    (found,) = plain.ec2.describe_network_interfaces(NetworkInterfaceIds=[made])["NetworkInterfaces"]
    return bool(found["Status"] == "in-use")


@probe("interfaces-of-launches")
def interfaces_of_launches(plain: Plain) -> bool:
    instance = plain.run()
    (made,) = plain.instance(instance)["NetworkInterfaces"]
    plain.ec2.terminate_instances(InstanceIds=[instance])
    return takes(plain.ec2.describe_network_interfaces, NetworkInterfaceIds=[made["NetworkInterfaceId"]])


@probe("attached-interfaces")
def attached_interfaces(plain: Plain) -> bool:
    made = interface(plain)
    launch_with(plain, made)
    return takes(plain.ec2.delete_network_interface, NetworkInterfaceId=made)


@probe("interface-addresses")
def interface_addresses(plain: Plain) -> bool:
    return bool(interface(plain, PrivateIpAddress="192.0.2.1"))


@probe("groups-of-one-balancer")
def groups_of_one_balancer(plain: Plain) -> bool:
    group = plain.target_group()
    plain.listener(plain.balancer(), group)
    return takes(plain.listener, balancer=plain.balancer(), group=group)


@probe("rules-that-are-not")
def rules_that_are_not(plain: Plain) -> bool:
    return takes(plain.elb.delete_rule, RuleArn=f"{ARN}:listener-rule/app/l/0/0/0")


@probe("targets-that-are-not")
def targets_that_are_not(plain: Plain) -> bool:
    return takes(plain.elb.register_targets, TargetGroupArn=plain.target_group(), Targets=[{"Id": "i-0123"}])


@probe("two-zones")
def two_zones(plain: Plain) -> bool:
    return takes(plain.balancer, Subnets=plain.subnets[:1])


@probe("tag-sizes")
def tag_sizes(plain: Plain) -> bool:
    tag = {"Key": "aws:x", "Value": "v" * 257}
    return takes(plain.ec2.create_tags, Resources=[plain.vpc], Tags=[tag])


@probe("tags-of-balancers")
def tags_of_balancers(plain: Plain) -> bool:
    group, tags = plain.target_group(), [{"Key": f"k{number}", "Value": "v"} for number in range(51)]
    too_many = takes(plain.elb.add_tags, ResourceArns=[group], Tags=tags)
    return too_many and refuses(plain.elb.add_tags, ResourceArns=[group], Tags=[{"Key": "one", "Value": "more"}])


@probe("balancer-names")
def balancer_names(plain: Plain) -> bool:
    return takes(plain.balancer, Name="internal-" + "x" * 33)


@probe("rule-priorities")
def rule_priorities(plain: Plain) -> bool:
    group = plain.target_group()
    return takes(
        plain.elb.create_rule,
        ListenerArn=plain.listener(plain.balancer(), group),
        Priority=50_001,
        Conditions=[{"Field": "path-pattern", "Values": ["/x"]}],
        Actions=[{"Type": "forward", "TargetGroupArn": group}],
    )


@probe("groups-per-action")
def groups_per_action(plain: Plain) -> bool:
    listener = plain.listener(plain.balancer(), plain.target_group())
    config = {"TargetGroups": [{"TargetGroupArn": plain.target_group(), "Weight": 1000} for _ in range(6)]}
    actions = [{"Type": "forward", "ForwardConfig": config}]
    return takes(plain.elb.modify_listener, ListenerArn=listener, DefaultActions=actions)


@probe("thresholds")
def thresholds(plain: Plain) -> bool:
    return takes(plain.target_group, HealthyThresholdCount=11)


@probe("template-names")
def template_names(plain: Plain) -> bool:
    return takes(plain.ec2.create_launch_template, LaunchTemplateName="x", LaunchTemplateData={"ImageId": plain.image})


@probe("template-ids")
def template_ids(plain: Plain) -> bool:
    with pytest.raises(ClientError) as refused:
        plain.ec2.delete_launch_template(LaunchTemplateId="lt-0123")
    return refused.value.response["Error"]["Code"] != "InvalidLaunchTemplateId.NotFound"


@probe("group-names")
def group_names(plain: Plain) -> bool:
    return takes(
        plain.autoscaling.create_auto_scaling_group,
        AutoScalingGroupName="x" * 256,
        MinSize=0,
        MaxSize=0,
        LaunchTemplate={"LaunchTemplateId": plain.template(), "Version": "1"},
        VPCZoneIdentifier=plain.subnets[0],
    )


@probe("endpoint-routes")
def endpoint_routes(plain: Plain) -> bool:
    service = {"VpcId": plain.vpc, "ServiceName": "com.amazonaws.us-east-1.s3", "VpcEndpointType": "Gateway"}
    endpoint = plain.ec2.create_vpc_endpoint(**service)["VpcEndpoint"]["VpcEndpointId"]
    table = plain.ec2.create_route_table(VpcId=plain.vpc)["RouteTable"]["RouteTableId"]
    plain.ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, AddRouteTableIds=[table])
    (found,) = plain.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    return not any(route.get("GatewayId") == endpoint for route in found["Routes"])


@probe("endpoint-interfaces")
def endpoint_interfaces(plain: Plain) -> bool:
    service = {"VpcId": plain.vpc, "ServiceName": "com.amazonaws.us-east-1.ssm", "VpcEndpointType": "Interface"}
    made = plain.ec2.create_vpc_endpoint(**service, SubnetIds=plain.subnets[:1])["VpcEndpoint"]
    plain.ec2.modify_vpc_endpoint(VpcEndpointId=made["VpcEndpointId"], AddSubnetIds=plain.subnets[1:])
    (found,) = plain.ec2.describe_vpc_endpoints(VpcEndpointIds=[made["VpcEndpointId"]])["VpcEndpoints"]
    return len(found["NetworkInterfaceIds"]) == 1


@probe("subnet-ipv6-state")
def subnet_ipv6_state(plain: Plain) -> bool:
    subnet = plain.subnet("a")
    plain.ec2.associate_subnet_cidr_block(SubnetId=subnet, Ipv6CidrBlock="2600:1f18::/64")
    (found,) = plain.ec2.describe_subnets(SubnetIds=[subnet])["Subnets"]
    return bool(found["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlockState"]["State"] != "associated")


@probe("public-images")
def public_images(plain: Plain) -> bool:
    name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
    image = plain.client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
    return refuses(plain.ec2.describe_images, ImageIds=[image])
