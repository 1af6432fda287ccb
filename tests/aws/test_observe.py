"""boto3 reads -> observations, against moto in process; and that each question costs the calls that it says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import Stubber
from moto import mock_aws

from bluegreen.aws.capacity import raise_desired_capacity
from bluegreen.aws.observe import Observer, load_balancer_dimension, target_group_dimension
from bluegreen.aws.session import Session, SessionSettings
from bluegreen.errors import AwsError, NotPermitted
from bluegreen.model.observation import (
    Alarm,
    Bucket,
    Certificate,
    ConsulServer,
    DataVolume,
    Entrance,
    HostedZone,
    KmsKey,
    Machine,
    Traffic,
    Vpc,
    WayOut,
)
from bluegreen.model.tags import LISTENER, Owner, Purpose
from bluegreen.model.tls import RECOMMENDED_POLICY
from tests.sandbox.cloud.keys import KeyPair

WEB = Owner(project="bluegreen", stack="dev", service="web")


def tags_of(purpose: str, owner: Owner = WEB) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in {**owner.tags, LISTENER: purpose}.items()]


@dataclass
class World:
    """A load balancer with a production and a preview listener, two target groups, and what the client was asked."""

    session: Session
    calls: list[str]
    balancer: str
    old: str
    new: str
    production: str
    preview: str
    subnet: str

    @property
    def observer(self) -> Observer:
        return Observer(self.session)

    def register_image(self) -> str:
        made = self.session.client("ec2").register_image(
            Name=f"image-{len(self.calls)}", Architecture="x86_64", RootDeviceName="/dev/xvda"
        )
        self.calls.clear()
        return str(made["ImageId"])

    def make_group(self, name: str, target_group: str, stack: str = "dev", service: str = "web") -> None:
        ec2, autoscaling = self.session.client("ec2"), self.session.client("autoscaling")
        image = self.register_image()
        ec2.create_launch_template(
            LaunchTemplateName=name, LaunchTemplateData={"ImageId": image, "InstanceType": "t3.small"}
        )
        tags = Owner(project="bluegreen", stack=stack, service=service).tags
        autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=1,
            MaxSize=4,
            DesiredCapacity=2,
            VPCZoneIdentifier=self.subnet,
            TargetGroupARNs=[target_group],
            LaunchTemplate={"LaunchTemplateName": name},
            Tags=[{"Key": key, "Value": value, "PropagateAtLaunch": True} for key, value in tags.items()],
        )
        self.calls.clear()

    def forward(self, listener: str, weights: dict[str, int]) -> None:
        groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
        action = {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}
        self.session.client("elbv2").modify_listener(ListenerArn=listener, DefaultActions=[action])
        self.calls.clear()


@pytest.fixture(scope="module")
def recorded_session() -> Iterator[tuple[Session, list[str]]]:
    """Clients take long to make, so all tests share them; `mock_aws` gives each test an account of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
            patch.delenv(name, raising=False)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        session = Session(SessionSettings(region="us-east-1"))
        calls: list[str] = []
        for service in (
            *("ec2", "elbv2", "autoscaling", "cloudwatch", "iam", "service-quotas"),
            *("acm", "route53", "sts", "wafv2", "s3", "kms"),
        ):
            events = session.client(service).meta.events
            events.register("before-call", lambda model, **_: calls.append(model.name))
        yield session, calls


@pytest.fixture
def world(recorded_session: tuple[Session, list[str]]) -> Iterator[World]:
    session, calls = recorded_session
    with mock_aws():
        ec2, elbv2 = session.client("ec2"), session.client("elbv2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"us-east-1{zone}")
            for number, zone in enumerate("ab")
        ]
        subnet_ids = [subnet["Subnet"]["SubnetId"] for subnet in subnets]
        balancer = elbv2.create_load_balancer(Name="web", Subnets=subnet_ids)["LoadBalancers"][0]["LoadBalancerArn"]
        old, new = (
            elbv2.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId=vpc)["TargetGroups"][0][
                "TargetGroupArn"
            ]
            for name in ("old", "new")
        )

        def listen(port: int, target_group: str, tags: list[dict[str, str]]) -> str:
            made: dict[str, Any] = elbv2.create_listener(
                LoadBalancerArn=balancer,
                Port=port,
                Protocol="HTTP",
                DefaultActions=[{"Type": "forward", "TargetGroupArn": target_group}],
                Tags=tags,
            )
            return str(made["Listeners"][0]["ListenerArn"])

        production = listen(80, old, tags_of("production"))
        preview = listen(9000, new, tags_of("preview"))
        calls.clear()
        yield World(session, calls, balancer, old, new, production, preview, subnet_ids[0])


def test_what_a_listener_is_for_is_known_by_its_tag_alone(world: World) -> None:
    seen = {each.port: each for each in world.observer.listeners_of([world.old, world.new])}
    assert seen[80].purpose is Purpose.PRODUCTION
    assert seen[80].weights == {world.old: 1}
    assert seen[9000].purpose is Purpose.PREVIEW
    assert seen[9000].weights == {world.new: 1}


def test_a_load_balancer_that_aws_refuses_to_delete_is_known_by_its_target_groups(world: World) -> None:
    assert world.observer.protected_balancers([world.old, world.new], WEB) == ()
    assert world.calls == ["DescribeTargetGroups", "DescribeLoadBalancerAttributes"]
    world.session.client("elbv2").modify_load_balancer_attributes(
        LoadBalancerArn=world.balancer, Attributes=[{"Key": "deletion_protection.enabled", "Value": "true"}]
    )
    assert world.observer.protected_balancers([world.old, world.new], WEB) == (world.balancer,)
    assert world.observer.protected_balancers([], WEB) == ()


def test_whether_a_load_balancer_is_internal_is_known_by_its_target_groups(world: World) -> None:
    found = world.observer.balancer_of([world.new, world.old])
    assert found
    assert (found.arn, found.is_internal) == (world.balancer, False)
    assert found.zones == ("us-east-1a", "us-east-1b")
    assert world.calls == ["DescribeTargetGroups", "DescribeLoadBalancers"]
    assert world.observer.balancer_of([]) is None


def import_certificate(world: World, *names: str) -> str:
    pair = KeyPair.signed_by_itself(*names)
    made = world.session.client("acm").import_certificate(Certificate=pair.certificate, PrivateKey=pair.key)
    world.calls.clear()
    return str(made["CertificateArn"])


def test_an_entrance_with_https_says_so_and_is_known_by_the_domain_in_its_certificate(world: World) -> None:
    world.session.client("elbv2").create_listener(
        LoadBalancerArn=world.balancer,
        Port=8443,
        Protocol="HTTPS",
        Certificates=[{"CertificateArn": import_certificate(world, "shop.example")}],
        DefaultActions=[{"Type": "forward", "TargetGroupArn": world.new}],
        Tags=tags_of("production"),
    )
    found = world.observer.entrance(world.new, Purpose.PRODUCTION)
    assert found, "of two production listeners, the one that names the target group"
    assert (found.url.partition("//")[0], found.url.rpartition(":")[2], found.address) == ("https:", "8443", "")
    known = found.known_as("shop.example")
    assert known.url == "https://shop.example:8443"
    assert known.address == found.url.removeprefix("https://").removesuffix(":8443")
    other = world.observer.entrance(world.old, Purpose.PRODUCTION)
    assert other
    assert other.listener == world.production
    assert other.known_as("shop.example") == other, "HTTP proves nobody's name"


def test_a_certificate_is_read_with_its_names_and_its_end(world: World) -> None:
    arn = import_certificate(world, "shop.example", "*.shop.example")
    found = world.observer.certificate(arn)
    assert found
    assert replace(found, not_after=None) == Certificate(
        arn=arn, status="ISSUED", names=("shop.example", "*.shop.example")
    )
    assert found.not_after
    assert found.not_after > datetime.now(UTC)
    assert world.observer.certificate(f"{arn}0") is None
    assert world.calls == ["DescribeCertificate"] * 2
    assert world.observer.account() == "123456789012"


def test_a_tls_policy_is_known_by_its_name(world: World) -> None:
    assert world.observer.has_tls_policy(RECOMMENDED_POLICY)
    assert not world.observer.has_tls_policy("ELBSecurityPolicy-2099")
    assert world.calls == ["DescribeSSLPolicies"] * 2


def test_hosted_zones_are_found_by_name_and_by_id(world: World) -> None:
    route53 = world.session.client("route53")
    made = route53.create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"].rpartition("/")[2]
    route53.create_hosted_zone(Name="example.org", CallerReference="2")
    world.calls.clear()
    public = (HostedZone(id=made, name="example.com"),)
    assert world.observer.hosted_zones("example.com") == world.observer.hosted_zones(made) == public
    assert world.observer.hosted_zones("example.net") == world.observer.hosted_zones("ZNOTTHERE") == ()
    assert world.calls == ["ListHostedZonesByName", "GetHostedZone"] * 2


def test_a_bucket_is_known_with_its_region(world: World) -> None:
    s3 = world.session.client("s3")
    s3.create_bucket(Bucket="my-bucket")
    s3.create_bucket(Bucket="far-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    world.calls.clear()
    assert world.observer.bucket_region("my-bucket") == "us-east-1"
    assert world.observer.bucket_region("far-bucket") == "eu-west-1"
    assert world.observer.bucket_region("no-bucket") is None
    assert world.calls == ["HeadBucket"] * 3


@pytest.mark.parametrize("code", [301, 400, 403])
def test_a_bucket_of_somebody_else_s_says_its_region_at_most(world: World, code: int) -> None:
    for headers, region in (({"x-amz-bucket-region": "eu-west-1"}, "eu-west-1"), ({}, "")):
        with Stubber(world.session.client("s3")) as stub:
            stub.add_client_error(
                "head_bucket", str(code), http_status_code=code, response_meta={"HTTPHeaders": headers}
            )
            assert world.observer.bucket_region("their-bucket") == region


def test_a_web_acl_is_known_by_its_arn(world: World) -> None:
    visibility = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "web"}
    made = world.session.client("wafv2").create_web_acl(
        Name="web", Scope="REGIONAL", DefaultAction={"Allow": {}}, VisibilityConfig=visibility
    )
    world.calls.clear()
    assert world.observer.has_web_acl(made["Summary"]["ARN"])
    assert not world.observer.has_web_acl(made["Summary"]["ARN"] + "0")
    assert world.calls == ["GetWebACL"] * 2


def test_a_bucket_is_seen_with_its_tags(world: World) -> None:
    s3 = world.session.client("s3")
    for name in ("tagged", "bare"):
        s3.create_bucket(Bucket=name)
    s3.put_bucket_tagging(Bucket="tagged", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    world.calls.clear()
    account = "123456789012"
    assert world.observer.bucket("tagged", account) == Bucket(is_of_account=True, region="us-east-1", tags={"a": "b"})
    assert world.observer.bucket("bare", account) == Bucket(is_of_account=True, region="us-east-1")
    assert world.observer.bucket("none", account) is None
    assert world.calls == ["HeadBucket", "GetBucketTagging", "HeadBucket", "GetBucketTagging", "HeadBucket"]


@pytest.mark.parametrize("code", [301, 403])
def test_a_bucket_of_somebody_else_s_is_not_ours_to_look_at(world: World, code: int) -> None:
    with Stubber(world.session.client("s3")) as stub:
        stub.add_client_error(
            "head_bucket",
            str(code),
            http_status_code=code,
            expected_params={"Bucket": "theirs", "ExpectedBucketOwner": "123456789012"},
        )
        assert world.observer.bucket("theirs", "123456789012") == Bucket(is_of_account=False)


def test_a_key_is_known_with_its_state(world: World) -> None:
    kms = world.session.client("kms")
    made = kms.create_key(KeyUsage="SIGN_VERIFY", KeySpec="RSA_2048")["KeyMetadata"]
    kms.disable_key(KeyId=made["KeyId"])
    world.calls.clear()
    found = world.observer.kms_key(made["Arn"])
    assert found == KmsKey(arn=made["Arn"], state="Disabled", spec="RSA_2048", usage="SIGN_VERIFY")
    assert world.observer.kms_key(made["Arn"][:-4] + "0000") is None
    assert world.calls == ["DescribeKey"] * 2


def test_a_key_is_found_by_its_alias_with_whose_it_is(world: World) -> None:
    kms = world.session.client("kms")
    made = kms.create_key(KeyUsage="ENCRYPT_DECRYPT", Tags=[{"TagKey": "a", "TagValue": "b"}])["KeyMetadata"]
    kms.create_alias(AliasName="alias/shop/prod", TargetKeyId=made["KeyId"])
    world.calls.clear()
    found = world.observer.kms_key_of("alias/shop/prod")
    assert found == KmsKey(arn=made["Arn"], state="Enabled", tags={"a": "b"})
    assert found.id == made["KeyId"]
    assert world.observer.kms_key_of("alias/shop/qa") is None
    assert world.calls == ["DescribeKey", "ListResourceTags", "DescribeKey"]

    def refuse(model: Any, **_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, model.name)

    kms.meta.events.register("before-call.kms.ListResourceTags", refuse)
    found = world.observer.kms_key_of("alias/shop/prod")
    kms.meta.events.unregister("before-call.kms.ListResourceTags", refuse)
    assert found == KmsKey(arn=made["Arn"], state="Enabled"), "of another stack, as far as this caller can tell"


def test_the_role_of_auto_scaling_is_there_once_it_was_made(world: World) -> None:
    assert not world.observer.has_auto_scaling_role()
    world.session.client("iam").create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")
    assert world.observer.has_auto_scaling_role()


def test_a_listener_without_our_tags_has_no_purpose(world: World) -> None:
    world.session.client("elbv2").create_listener(
        LoadBalancerArn=world.balancer,
        Port=81,
        Protocol="HTTP",
        DefaultActions=[{"Type": "forward", "TargetGroupArn": world.new}],
    )
    seen = {each.port: each for each in world.observer.listeners_of([world.new])}
    assert seen[81].purpose is None


def test_weights_of_a_forward_action_are_read(world: World) -> None:
    world.forward(world.production, {world.old: 90, world.new: 10})
    assert world.observer.default_weights(world.production) == {world.old: 90, world.new: 10}


def test_a_rule_counts_like_the_default_action_for_what_may_be_deleted_and_not_for_what_is_live(world: World) -> None:
    world.session.client("elbv2").create_rule(
        ListenerArn=world.production,
        Priority=1,
        Conditions=[{"Field": "path-pattern", "Values": ["/new/*"]}],
        Actions=[{"Type": "forward", "TargetGroupArn": world.new}],
    )
    seen = {each.port: each for each in world.observer.listeners_of([world.new])}
    assert seen[80].weights == {world.old: 1, world.new: 1}
    assert world.observer.default_weights(world.production) == {world.old: 1}


def test_a_listener_that_forwards_nowhere_has_no_weights(world: World) -> None:
    fixed = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}
    world.session.client("elbv2").modify_listener(ListenerArn=world.production, DefaultActions=[fixed])
    assert world.observer.default_weights(world.production) == {}


def test_a_target_group_that_is_gone_is_behind_no_listener(world: World) -> None:
    assert world.observer.listeners_of([world.old + "x"]) == ()


def test_a_target_group_that_is_gone_hides_none_of_the_others(world: World) -> None:
    assert {each.port for each in world.observer.listeners_of([world.old + "x", world.old])} == {80, 9000}


@pytest.mark.parametrize("question", ["DescribeListeners", "DescribeTags", "DescribeRules"])
@pytest.mark.parametrize("gone", ["listener", "balancer"])
def test_what_a_destroy_deletes_meanwhile_is_behind_nothing_and_no_error(
    world: World, question: str, gone: str
) -> None:
    elbv2 = world.session.client("elbv2")

    def delete(model: Any, **_: Any) -> None:
        if model.name == question:
            elbv2.meta.events.unregister("before-call", delete)
            elbv2.delete_listener(ListenerArn=world.production)
            if gone == "balancer":
                elbv2.delete_listener(ListenerArn=world.preview)
                elbv2.delete_load_balancer(LoadBalancerArn=world.balancer)

    elbv2.meta.events.register("before-call", delete)
    seen = world.observer.listeners_of([world.old, world.new])
    assert [each.purpose for each in seen] == ([Purpose.PREVIEW] if gone == "listener" else [])


def test_where_a_candidate_is_shown_is_read_from_the_preview_listener(world: World) -> None:
    elbv2 = world.session.client("elbv2")
    address = elbv2.describe_load_balancers(LoadBalancerArns=[world.balancer])["LoadBalancers"][0]["DNSName"]
    world.calls.clear()
    seen = world.observer.entrance(world.new, Purpose.PREVIEW)
    assert seen == Entrance(listener=world.preview, url=f"http://{address}:9000", weights={world.new: 1})
    assert seen.shows_only(world.new)
    assert not seen.shows_only(world.old)
    assert len(world.calls) == 4


def test_a_preview_listener_that_shows_another_group_as_well_does_not_show_the_candidate_alone(world: World) -> None:
    world.forward(world.preview, {world.old: 10, world.new: 90})
    seen = world.observer.entrance(world.new, Purpose.PREVIEW)
    assert seen
    assert not seen.shows_only(world.new)
    world.forward(world.preview, {world.old: 0, world.new: 100})
    assert world.observer.entrance(world.new, Purpose.PREVIEW).shows_only(world.new)  # type: ignore[union-attr]


def test_a_target_group_without_a_preview_listener_is_shown_nowhere(world: World) -> None:
    world.session.client("elbv2").delete_listener(ListenerArn=world.preview)
    assert world.observer.entrance(world.old, Purpose.PREVIEW) is None
    assert world.observer.entrance(world.new, Purpose.PREVIEW) is None, "no listener names it any more"
    assert world.observer.entrance(world.new + "x", Purpose.PREVIEW) is None


def test_no_target_group_is_behind_no_listener(world: World) -> None:
    assert world.observer.listeners_of([]) == ()
    assert world.calls == []


def test_the_drain_time_is_the_deregistration_delay(world: World) -> None:
    world.session.client("elbv2").modify_target_group_attributes(
        TargetGroupArn=world.old, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "7"}]
    )
    assert world.observer.drain_seconds(world.old) == 7
    assert world.observer.drain_seconds(world.old + "x") == 0


def test_groups_are_found_by_stack_and_service_in_one_call(world: World) -> None:
    world.make_group("web-1", world.old)
    world.make_group("api-1", world.old, service="api")
    world.make_group("web-qa", world.old, stack="qa")
    (seen,) = world.observer.groups(WEB)
    assert (seen.name, seen.service, seen.minimum, seen.maximum, seen.desired) == ("web-1", "web", 1, 4, 2)
    assert seen.target_groups == (world.old,)
    assert len(seen.instances) == 2
    assert world.calls == ["DescribeAutoScalingGroups"]
    stack = Owner(project="bluegreen", stack="dev")
    assert {group.service for group in world.observer.groups(stack)} == {"web", "api"}
    assert world.observer.groups(Owner(project="other", stack="dev", service="web")) == ()


def test_with_one_group_it_is_the_active_one_and_nobody_else_is_asked(world: World) -> None:
    world.make_group("web-1", world.old)
    groups = world.observer.groups(WEB)
    world.calls.clear()
    assert world.observer.active_of(groups) is groups[0]
    assert world.calls == []


@pytest.mark.parametrize("shifted", [False, True])
def test_with_several_groups_the_load_balancer_says_which_is_active(world: World, shifted: bool) -> None:
    world.make_group("web-1", world.old)
    world.make_group("web-2", world.new)
    if shifted:
        world.forward(world.production, {world.new: 1})
    active = world.observer.active_of(world.observer.groups(WEB))
    assert active is not None
    assert active.name == ("web-2" if shifted else "web-1"), "the preview listener does not count"


def test_a_service_that_was_never_deployed_has_no_active_group(world: World) -> None:
    assert world.observer.active_of(world.observer.groups(WEB)) is None


def test_a_group_that_does_not_exist_is_none(world: World) -> None:
    assert world.observer.group("nope") is None


def test_targets_are_read_in_one_call(world: World) -> None:
    world.make_group("web-1", world.old)
    targets = world.observer.targets(world.old)
    assert len(targets) == 2
    assert world.calls == ["DescribeTargetHealth"]


def test_an_image_is_read_in_one_call(world: World) -> None:
    image = world.observer.image(world.register_image())
    assert image is not None
    assert (image.state, image.root_device) == ("available", "/dev/sda1")
    assert world.calls == ["DescribeImages"]


@pytest.mark.parametrize("image", ["ami-00000000", "ami-0123456789abcdef0"])
def test_an_image_that_does_not_exist_is_none(world: World, image: str) -> None:
    assert world.observer.image(image) is None


def test_an_instance_type_says_its_architectures(world: World) -> None:
    small = world.observer.instance_type("t3.small")
    assert small is not None
    assert "x86_64" in small.architectures
    arm = world.observer.instance_type("t4g.small")
    assert arm is not None
    assert "arm64" in arm.architectures


def test_an_instance_type_says_how_many_vcpus_it_has(world: World) -> None:
    small = world.observer.instance_type("t3.small")
    assert small is not None
    assert small.vcpus == 2


def test_an_instance_type_that_does_not_exist_is_none(world: World) -> None:
    assert world.observer.instance_type("t3.gigantic") is None


def test_a_key_pair_is_known_by_its_name_in_one_call(world: World) -> None:
    world.session.client("ec2").create_key_pair(KeyName="ops team")
    world.calls.clear()
    assert world.observer.has_key_pair("ops team")
    assert world.calls == ["DescribeKeyPairs"]
    assert not world.observer.has_key_pair("ops")


def test_an_instance_profile_is_known_by_its_name_in_one_call(world: World) -> None:
    world.session.client("iam").create_instance_profile(InstanceProfileName="web", Path="/team/")
    world.calls.clear()
    assert world.observer.has_instance_profile("web")
    assert world.calls == ["GetInstanceProfile"]
    assert not world.observer.has_instance_profile("api")


def test_a_quota_is_read_by_its_code(world: World) -> None:
    with Stubber(world.session.client("service-quotas")) as stub:
        asked = {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"}
        stub.add_response("get_service_quota", {"Quota": {"Value": 32.0}}, asked)
        assert world.observer.vcpu_quota("L-1216C47A") == 32


def test_a_quota_that_service_quotas_does_not_know_is_none(world: World) -> None:
    assert world.observer.vcpu_quota("L-00000000") is None
    assert world.calls == ["GetServiceQuota"]


def test_a_region_without_service_quotas_has_no_answer_and_is_no_error(world: World) -> None:
    def nobody_there(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://servicequotas.nowhere.amazonaws.com")

    events = world.session.client("service-quotas").meta.events
    events.register("before-call", nobody_there)
    try:
        assert world.observer.vcpu_quota("L-1216C47A") is None
    finally:
        events.unregister("before-call", nobody_there)


def test_machines_that_run_count_and_those_that_stopped_do_not(world: World) -> None:
    ec2 = world.session.client("ec2")
    image = world.register_image()
    ran = ec2.run_instances(ImageId=image, MinCount=3, MaxCount=3, InstanceType="m5.large")["Instances"]
    ec2.stop_instances(InstanceIds=[ran[0]["InstanceId"]])
    ec2.terminate_instances(InstanceIds=[ran[1]["InstanceId"]])
    world.calls.clear()
    assert world.observer.on_demand_machines() == (Machine(instance_type="m5.large", vcpus=None),)
    assert world.calls == ["DescribeInstances"]


def test_consul_s_servers_are_those_with_the_stack_s_tag_that_run(world: World) -> None:
    ec2, owner = world.session.client("ec2"), Owner(project="shop", stack="prod")
    image = world.register_image()

    def run(count: int, stack: str) -> list[str]:
        tags = [{"Key": "bluegreen:consul", "Value": f"shop/{stack}"}, {"Key": "Name", "Value": "consul"}]
        made = ec2.run_instances(
            ImageId=image,
            MinCount=count,
            MaxCount=count,
            InstanceType="t3.small",
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        )
        return [each["InstanceId"] for each in made["Instances"]]

    run(1, "qa")
    gone, _, _ = run(3, "prod")
    ec2.terminate_instances(InstanceIds=[gone])
    world.calls.clear()
    tags = {"bluegreen:consul": "shop/prod", "Name": "consul"}
    assert world.observer.consul_servers(owner) == (ConsulServer(image=image, instance_type="t3.small", tags=tags),) * 2
    assert world.calls == ["DescribeInstances"]


def test_machines_of_every_page_count_with_the_vcpus_that_they_were_given_and_spot_ones_do_not(world: World) -> None:
    def page(*instances: dict[str, Any], more: str = "") -> dict[str, Any]:
        return {"Reservations": [{"Instances": list(instances)}], **({"NextToken": more} if more else {})}

    given = {"InstanceType": "m5.large", "CpuOptions": {"CoreCount": 2, "ThreadsPerCore": 1}}
    with Stubber(world.session.client("ec2")) as stub:
        filters = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
        spot = {"InstanceType": "m5.large", "InstanceLifecycle": "spot"}
        stub.add_response("describe_instances", page(given, spot, more="next"), {"Filters": filters})
        metal = {"InstanceType": "c5.metal", "CpuOptions": {}}
        stub.add_response("describe_instances", page(metal), {"Filters": filters, "NextToken": "next"})
        assert world.observer.on_demand_machines() == (
            Machine(instance_type="m5.large", vcpus=2),
            Machine(instance_type="c5.metal", vcpus=None),
        )


@pytest.mark.parametrize(
    ("service", "code", "ask"),
    [
        ("ec2", "UnauthorizedOperation", lambda observer: observer.has_key_pair("ops")),
        ("ec2", "UnauthorizedOperation", lambda observer: observer.on_demand_machines()),
        ("iam", "AccessDenied", lambda observer: observer.has_instance_profile("web")),
        ("service-quotas", "AccessDeniedException", lambda observer: observer.vcpu_quota("L-1216C47A")),
    ],
)
def test_what_may_not_be_asked_is_neither_there_nor_missing(world: World, service: str, code: str, ask: Any) -> None:
    def refuse(model: Any, **_: Any) -> None:
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, model.name)

    events = world.session.client(service).meta.events
    events.register("before-call", refuse)
    try:
        with pytest.raises(NotPermitted, match=code):
            ask(world.observer)
    finally:
        events.unregister("before-call", refuse)


def test_capacity_is_raised_and_read_back(world: World) -> None:
    world.make_group("web-1", world.old)
    (group,) = world.observer.groups(WEB)
    world.calls.clear()
    assert raise_desired_capacity(world.session, group, 3).desired == 3
    assert world.calls == ["SetDesiredCapacity", "DescribeAutoScalingGroups"]


def test_capacity_is_raised_to_the_maximum_at_the_most(world: World) -> None:
    world.make_group("web-1", world.old)
    (group,) = world.observer.groups(WEB)
    assert raise_desired_capacity(world.session, group, 9).desired == 4


def test_capacity_that_aws_does_not_show_is_an_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.make_group("web-1", world.old)
    (group,) = world.observer.groups(WEB)
    monkeypatch.setattr(Observer, "group", lambda self, name: group)
    with pytest.raises(AwsError, match="raised to 3 machines, but AWS shows 2"):
        raise_desired_capacity(world.session, group, 3)


def test_the_vpc_of_a_service_is_known_by_its_tags(world: World) -> None:
    ec2 = world.session.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": key, "Value": value} for key, value in WEB.tags.items()])
    assert world.observer.vpcs(tags=WEB.tags) == (Vpc(id=vpc, cidr="10.7.0.0/16"),)
    assert world.observer.vpcs(vpc_id=vpc) == world.observer.vpcs(tags=WEB.tags)
    assert world.observer.vpcs(vpc_id="vpc-00000000") == ()
    assert world.observer.vpcs() == (), "not all there are"


@pytest.mark.parametrize("desired", [0, 1, 2])
def test_capacity_is_never_lowered(world: World, desired: int) -> None:
    world.make_group("web-1", world.old)
    (group,) = world.observer.groups(WEB)
    world.calls.clear()
    assert raise_desired_capacity(world.session, group, desired) == group
    assert world.calls == []


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("ExpiredToken", "Renew the credentials"),
        ("InvalidClientTokenId", "Renew the credentials"),
        ("AccessDenied", "Allow this caller DescribeAutoScalingGroups"),
        ("UnauthorizedOperation", "Allow this caller"),
    ],
)
def test_refusals_of_aws_say_what_to_do(world: World, code: str, advice: str) -> None:
    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, "DescribeAutoScalingGroups")

    events = world.session.client("autoscaling").meta.events
    events.register("before-call", refuse)
    try:
        with pytest.raises(AwsError, match=code) as caught:
            world.observer.groups(WEB)
    finally:
        events.unregister("before-call", refuse)
    assert advice in caught.value.next_step


# -- where users come in


def test_where_users_meet_a_release_is_read_from_the_production_listener(world: World) -> None:
    world.forward(world.production, {world.old: 95, world.new: 5})
    for target_group in (world.old, world.new):
        seen = world.observer.entrance(target_group, Purpose.PRODUCTION)
        assert seen
        assert seen.listener == world.production
        assert seen.url.endswith(":80")
        assert seen.weights == {world.old: 95, world.new: 5}


def test_a_release_that_only_the_preview_listener_names_has_no_weight_where_users_come_in(world: World) -> None:
    seen = world.observer.entrance(world.new, Purpose.PRODUCTION)
    assert seen
    assert not seen.weights.get(world.new)


def test_a_release_without_a_production_listener_has_no_entrance_for_users(world: World) -> None:
    world.session.client("elbv2").delete_listener(ListenerArn=world.production)
    assert world.observer.entrance(world.new, Purpose.PRODUCTION) is None


# -- alarms


def put_alarm(world: World, name: str, target_group: str = "", is_of_balancer: bool = True, **more: Any) -> None:
    of = {"LoadBalancer": load_balancer_dimension(world.production)} if is_of_balancer else {}
    of |= {"TargetGroup": target_group_dimension(target_group)} if target_group else {}
    dimensions = [{"Name": name, "Value": value} for name, value in of.items()]
    world.session.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace="AWS/ApplicationELB",
        MetricName="UnHealthyHostCount",
        Dimensions=dimensions,
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        **more,
    )
    world.calls.clear()


def test_alarms_are_asked_by_name_in_one_call_and_those_that_do_not_exist_are_not_among_them(world: World) -> None:
    for name in ("checkout", "queue", "other"):
        put_alarm(world, name)
    world.session.client("cloudwatch").set_alarm_state(AlarmName="queue", StateValue="ALARM", StateReason="it is long")
    world.calls.clear()
    seen = {alarm.name: alarm for alarm in world.observer.alarms(["checkout", "queue", "nothing"])}
    assert set(seen) == {"checkout", "queue"}
    assert seen["queue"] == Alarm(name="queue", state="ALARM", reason="it is long")
    assert seen["queue"].is_on
    assert not seen["checkout"].is_on
    assert world.calls == ["DescribeAlarms"]


def test_without_names_no_alarm_is_asked_for_and_none_is_found(world: World) -> None:
    put_alarm(world, "checkout")
    assert world.observer.alarms([]) == ()
    assert world.calls == []


def test_composite_alarms_count_and_a_hundred_fit_in_one_answer(world: World) -> None:
    names = [f"alarm-{number:03}" for number in range(100)]
    asked = {"AlarmNames": names, "AlarmTypes": ["MetricAlarm", "CompositeAlarm"], "MaxRecords": 100}
    answer = {
        "MetricAlarms": [{"AlarmName": names[0], "StateValue": "OK"}],
        "CompositeAlarms": [{"AlarmName": names[1], "StateValue": "ALARM", "StateReason": "both"}],
    }
    with Stubber(world.session.client("cloudwatch")) as stub:
        # CloudWatch gives fifty unless asked for more, and one that it leaves out would seem not to exist.
        stub.add_response("describe_alarms", answer, asked)
        assert world.observer.alarms(names) == (
            Alarm(name=names[0], state="OK"),
            Alarm(name=names[1], state="ALARM", reason="both"),
        )


def test_the_alarms_of_a_release_are_those_of_its_name_on_its_target_group_or_its_load_balancer(world: World) -> None:
    put_alarm(world, "web-bbbbbbbb-unhealthy-1a2b", world.new)
    put_alarm(world, "web-bbbbbbbb-unhealthy-left", world.old)  # of a group that was made before, and is gone
    put_alarm(world, "web-bbbbbbbb-mine", is_of_balancer=False)
    put_alarm(world, "web-bbbbbbbb-balancer-1a2b")  # of the load balancer as a whole
    put_alarm(world, "web-bbbbbbbbb-unhealthy", world.new)
    put_alarm(world, "web-aaaaaaaa-unhealthy", world.new)
    seen = world.observer.alarms_of("web-bbbbbbbb", world.new, world.production)
    assert sorted(alarm.name for alarm in seen) == ["web-bbbbbbbb-balancer-1a2b", "web-bbbbbbbb-unhealthy-1a2b"]
    assert world.calls == ["DescribeAlarms"]


def test_an_alarm_on_an_expression_is_known_by_the_metrics_in_it(world: World) -> None:
    def of(target_group: str, name: str) -> dict[str, Any]:
        dimensions = [
            {"Name": "TargetGroup", "Value": target_group_dimension(target_group)},
            {"Name": "LoadBalancer", "Value": load_balancer_dimension(world.production)},
        ]
        metric = {"Namespace": "AWS/ApplicationELB", "MetricName": "RequestCount", "Dimensions": dimensions}
        stat = {"Metric": metric, "Period": 60, "Stat": "Sum"}
        queries = [
            {"Id": "requests", "MetricStat": stat, "ReturnData": False},
            {"Id": "percent", "Expression": "100 * requests", "ReturnData": True},
        ]
        return {"AlarmName": name, "StateValue": "OK", "Metrics": queries}

    answer = {"MetricAlarms": [of(world.new, "web-bbbbbbbb-errors-1"), of(world.old, "web-bbbbbbbb-errors-2")]}
    with Stubber(world.session.client("cloudwatch")) as stub:
        asked = {"AlarmNamePrefix": "web-bbbbbbbb-", "AlarmTypes": ["MetricAlarm"]}
        stub.add_response("describe_alarms", {**answer, "NextToken": "more"}, asked)
        rest = {"MetricAlarms": [of(world.new, "web-bbbbbbbb-latency-1")]}
        stub.add_response("describe_alarms", rest, {**asked, "NextToken": "more"})
        seen = world.observer.alarms_of("web-bbbbbbbb", world.new, world.production)
    assert [alarm.name for alarm in seen] == ["web-bbbbbbbb-errors-1", "web-bbbbbbbb-latency-1"]


# -- traffic


SINCE = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)


def reported(requests: dict[int, float], hosts: dict[int, float]) -> dict[str, Any]:
    """GetMetricData's answer. Keys: seconds after SINCE."""

    def series(name: str, values: dict[int, float]) -> dict[str, Any]:
        moments = [SINCE + timedelta(seconds=at) for at in values]
        return {"Id": name, "Timestamps": moments, "Values": list(values.values()), "StatusCode": "Complete"}

    return {"MetricDataResults": [series("requests", requests), series("hosts", hosts)]}


@pytest.mark.parametrize(
    ("requests", "hosts", "seen"),
    [
        ({}, {}, Traffic(periods=0, requests=None)),
        ({}, {30: 2, 90: 2, 150: 0}, Traffic(periods=3, requests=None)),
        ({30: 5, 90: 7}, {30: 2, 90: 2, 150: 2}, Traffic(periods=3, requests=12)),
        ({-30: 500, 30: 5}, {-30: 2, 30: 2}, Traffic(periods=1, requests=5)),
        ({-30: 500}, {-30: 2, 30: 2}, Traffic(periods=1, requests=None)),
        ({0: 5}, {0: 2}, Traffic(periods=1, requests=5)),
        ({30: 0}, {30: 2}, Traffic(periods=1, requests=0)),
    ],
)
def test_traffic_counts_from_the_first_whole_period_and_periods_by_their_healthy_hosts(
    world: World, requests: dict[int, float], hosts: dict[int, float], seen: Traffic
) -> None:
    with Stubber(world.session.client("cloudwatch")) as stub:
        stub.add_response("get_metric_data", reported(requests, hosts))
        assert world.observer.traffic(world.production, world.new, SINCE) == seen
    assert world.calls.count("GetMetricData") <= 1


@pytest.mark.parametrize("clock", [None, "old"])
def test_requests_are_those_of_the_target_group_and_the_clock_may_be_another(world: World, clock: str | None) -> None:
    asked: list[dict[str, Any]] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        asked.append(params)

    events = world.session.client("cloudwatch").meta.events
    events.register("provide-client-params.cloudwatch.GetMetricData", note)
    try:
        with Stubber(world.session.client("cloudwatch")) as stub:
            stub.add_response("get_metric_data", reported({}, {}))
            world.observer.traffic(world.production, world.new, SINCE, world.old if clock else None)
    finally:
        events.unregister("provide-client-params.cloudwatch.GetMetricData", note)
    (question,) = asked
    metrics = {each["Id"]: each["MetricStat"]["Metric"] for each in question["MetricDataQueries"]}
    found = {
        name: (metric["MetricName"], {each["Name"]: each["Value"] for each in metric["Dimensions"]})
        for name, metric in metrics.items()
    }
    balancer = world.balancer.partition(":loadbalancer/")[2]
    of = {"LoadBalancer": balancer, "TargetGroup": target_group_dimension(world.new)}
    by = {**of, "TargetGroup": target_group_dimension(world.old if clock else world.new)}
    assert found == {"requests": ("RequestCount", of), "hosts": ("HealthyHostCount", by)}
    assert question["StartTime"] == SINCE


def test_load_balancers_and_target_groups_are_named_as_cloudwatch_names_them() -> None:
    listener = "arn:aws:elasticloadbalancing:us-west-2:1:listener/app/web/50dc6c495c0c9188/f2f7dc8efc522ab2"
    assert load_balancer_dimension(listener) == "app/web/50dc6c495c0c9188"
    target_group = "arn:aws:elasticloadbalancing:us-west-2:1:targetgroup/web/73e2d6bc24d8a067"
    assert target_group_dimension(target_group) == "targetgroup/web/73e2d6bc24d8a067"


# -- consoles


def test_the_console_of_a_machine_is_read_as_text_in_one_call(world: World) -> None:
    ec2 = world.session.client("ec2")
    image = world.register_image()
    made = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="t3.small")["Instances"]
    world.calls.clear()
    assert "Linux version" in world.observer.console_output(made[0]["InstanceId"])
    assert world.calls == ["GetConsoleOutput"]


def test_a_machine_that_is_gone_or_has_said_nothing_has_an_empty_console(world: World) -> None:
    assert world.observer.console_output("i-0123456789abcdef0") == ""
    with Stubber(world.session.client("ec2")) as stub:
        stub.add_response("get_console_output", {"InstanceId": "i-1"}, {"InstanceId": "i-1", "Latest": True})
        assert world.observer.console_output("i-1") == ""


def test_the_latest_console_is_asked_for_first_and_what_booted_where_there_is_no_latest(world: World) -> None:
    latest = {"InstanceId": "i-1", "Latest": True}
    with Stubber(world.session.client("ec2")) as stub:
        stub.add_response("get_console_output", {"Output": "latest"}, latest)
        assert world.observer.console_output("i-1") == "latest"
        stub.add_client_error("get_console_output", "UnsupportedOperation", expected_params=latest)
        stub.add_response("get_console_output", {"Output": "booted"}, {"InstanceId": "i-1"})
        assert world.observer.console_output("i-1") == "booted"
        stub.assert_no_pending_responses()


def test_a_machine_without_a_latest_console_may_be_gone_when_it_is_asked_again(world: World) -> None:
    with Stubber(world.session.client("ec2")) as stub:
        stub.add_client_error("get_console_output", "UnsupportedOperation")
        stub.add_client_error("get_console_output", "InvalidInstanceID.NotFound")
        assert world.observer.console_output("i-1") == ""


@pytest.mark.parametrize(
    ("service", "ask"),
    [
        ("cloudwatch", lambda observer: observer.alarms(["checkout"])),
        ("cloudwatch", lambda observer: observer.alarms_of("web-bbbbbbbb", "tg", "listener")),
        ("cloudwatch", lambda observer: observer.traffic("a:b/c/d/e/f", "tg", SINCE)),
        ("ec2", lambda observer: observer.console_output("i-1")),
    ],
)
def test_alarms_metrics_and_consoles_that_may_not_be_read_are_an_error_and_not_none(
    world: World, service: str, ask: Any
) -> None:
    def refuse(model: Any, **_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, model.name)

    events = world.session.client(service).meta.events
    events.register("before-call", refuse)
    try:
        with pytest.raises(NotPermitted, match="AccessDenied"):
            ask(world.observer)
    finally:
        events.unregister("before-call", refuse)


def test_volumes_are_found_by_their_tags_and_by_their_ids(world: World) -> None:
    ec2 = world.session.client("ec2")

    def volume(zone: str = "us-east-1a", **tags: str) -> str:
        pairs = [{"Key": f"bluegreen:{key}", "Value": value} for key, value in tags.items()]
        specified = [{"ResourceType": "volume", "Tags": pairs}] if tags else []
        return str(ec2.create_volume(AvailabilityZone=zone, Size=20, TagSpecifications=specified)["VolumeId"])

    ours = volume(tier="db", member="a", address="10.0.0.9", protected="true")
    released = volume(tier="db", member="b", protected="false")
    volume(tier="other", member="a", protected="true")
    plain = volume("us-east-1b")
    found = world.observer.volumes({"bluegreen:tier": "db"}, [plain, "vol-0123456789abcdef0"])
    assert {each.id: each for each in found} == {
        ours: DataVolume(id=ours, zone="us-east-1a", size_gb=20, member="a", address="10.0.0.9", is_protected=True),
        released: DataVolume(id=released, zone="us-east-1a", size_gb=20, member="b"),
        plain: DataVolume(id=plain, zone="us-east-1b", size_gb=20),
    }


def test_where_the_routes_of_a_subnet_lead_is_what_its_table_says_or_the_vpc_s_own(world: World) -> None:
    ec2 = world.session.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    public, private, bare = (
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.8.{number}.0/28", AvailabilityZone="us-east-1b")["Subnet"][
            "SubnetId"
        ]
        for number in range(3)
    )
    nat = ec2.create_nat_gateway(SubnetId=public, ConnectivityType="private")["NatGateway"]["NatGatewayId"]
    for subnet, target in ((public, {"GatewayId": gateway}), (private, {"NatGatewayId": nat})):
        table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", **target)
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    ec2.create_tags(Resources=[private], Tags=[{"Key": "tier", "Value": "app"}])

    found = {subnet.id: subnet for subnet in world.observer.subnets(vpc)}
    assert {each: found[each].way_out for each in found} == {
        public: WayOut.INTERNET_GATEWAY,
        private: WayOut.OTHER,
        bare: WayOut.NONE,
    }
    described = found[private]
    assert (described.zone, described.cidr, described.tags) == ("us-east-1b", "10.8.1.0/28", {"tier": "app"})
    assert found[bare].free_addresses == 11

    (main,) = ec2.describe_route_tables(
        Filters=[{"Name": "vpc-id", "Values": [vpc]}, {"Name": "association.main", "Values": ["true"]}]
    )["RouteTables"]
    ec2.create_route(RouteTableId=main["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    found = {subnet.id: subnet for subnet in world.observer.subnets(vpc)}
    assert found[bare].way_out is WayOut.INTERNET_GATEWAY


def test_zones_are_those_of_the_region_and_those_that_have_machines_of_a_type(world: World) -> None:
    assert {"us-east-1a", "us-east-1f"} <= set(world.observer.zones())
    offering = world.observer.zones_offering("t3.small")
    assert "us-east-1a" in offering
    assert "us-east-1e" not in offering
