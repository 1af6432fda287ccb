"""boto3 reads -> observations. Every method is one question; none changes anything.

Methods block: from a program's event loop they are called in a thread.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError

from bluegreen.aws.session import Session, in_our_words, is_fault
from bluegreen.model.consul import JOIN, joined_by
from bluegreen.model.dns import is_zone_id
from bluegreen.model.encryption import AUTO_SCALING_ROLE
from bluegreen.model.observation import (
    Alarm,
    Balancer,
    Bucket,
    Certificate,
    ConsulServer,
    DataVolume,
    Egress,
    Entrance,
    Front,
    Group,
    HostedZone,
    Image,
    InstanceType,
    KmsKey,
    Listener,
    Machine,
    Rule,
    ScalingActivity,
    Subnet,
    Target,
    Traffic,
    Vpc,
    WayOut,
)
from bluegreen.model.tags import (
    ADDRESS,
    BALANCER,
    LISTENER,
    MEMBER,
    PROJECT,
    PROTECTED,
    RELEASE,
    SERVICE,
    SHARED,
    STACK,
    Owner,
    Purpose,
)

MOST_ACTIVITIES = 20
"""The newest scaling activities are enough to say why nothing launches."""
MOST_ARNS_IN_A_CALL = 20
"""DescribeTags of Elastic Load Balancing takes twenty."""

MOST_ALARMS = 100
"""In one answer of DescribeAlarms, which holds fewer unless asked for so many."""

MAIN = ""
"""In place of a subnet: the VPC's main route table, which is that of subnets without one of their own."""

METRIC_PERIOD_SECONDS = 60
"""How often load balancers report (ELB User Guide, "CloudWatch metrics for your Application Load Balancer")."""


class Observer:
    """Asks AWS. Raises AwsError where it can't be asked."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def region(self) -> str:
        return self._session.region

    @in_our_words
    def groups(self, owner: Owner) -> tuple[Group, ...]:
        """Every Auto Scaling group of a stack, or of one service of it, whatever its release. One call."""
        filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in owner.tags.items()]
        return tuple(self._describe_groups(Filters=filters))

    @in_our_words
    def group(self, name: str) -> Group | None:
        """One Auto Scaling group; None where there is none of that name. One call."""
        return next(self._describe_groups(AutoScalingGroupNames=[name]), None)

    def active_of(self, groups: Sequence[Group]) -> Group | None:
        """The one of a service's groups that takes the most traffic now. With at most one, that one: no call."""
        if len(groups) < 2:
            return next(iter(groups), None)
        listeners = self.listeners_of(arn for group in groups for arn in group.target_groups)
        taken = {
            group: sum(each.weight_of(group.target_groups) for each in listeners if each.purpose is not Purpose.PREVIEW)
            for group in groups
        }
        return max((group for group in groups if taken[group] > 0), key=taken.__getitem__, default=None)

    @in_our_words
    def vpcs(self, *, vpc_id: str = "", tags: Mapping[str, str] | None = None) -> tuple[Vpc, ...]:
        """Those with this id, or with all of these tags. One call."""
        filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in (tags or {}).items()]
        if vpc_id:
            filters.append({"Name": "vpc-id", "Values": [vpc_id]})
        vpcs = self._session.client("ec2").describe_vpcs(Filters=filters)["Vpcs"]
        return tuple(
            Vpc(id=each["VpcId"], cidr=each["CidrBlock"], has_ipv6=_has_ipv6(each)) for each in vpcs if filters
        )

    @in_our_words
    def subnets(self, vpc: str) -> tuple[Subnet, ...]:
        """All subnets of a VPC (id), each with where its routes lead. Two calls, more where there are very many."""
        filters = [{"Name": "vpc-id", "Values": [vpc]}]
        client = self._session.client("ec2")
        pages = client.get_paginator("describe_subnets").paginate(Filters=filters)
        subnets = [each for page in pages for each in page["Subnets"]]
        pages = client.get_paginator("describe_route_tables").paginate(Filters=filters)
        ways = _ways_out([each for page in pages for each in page["RouteTables"]])
        return tuple(
            Subnet(
                id=each["SubnetId"],
                zone=each["AvailabilityZone"],
                cidr=each.get("CidrBlock", ""),
                free_addresses=each["AvailableIpAddressCount"],
                way_out=ways.get(each["SubnetId"], ways[MAIN]),
                tags={tag["Key"]: tag.get("Value", "") for tag in each.get("Tags", [])},
            )
            for each in subnets
        )

    @in_our_words
    def volumes(self, tags: Mapping[str, str], ids: Collection[str] = ()) -> tuple[DataVolume, ...]:
        """Those with all of these tags, and those with these ids, as far as they are there. One call, or two."""
        asked = [[{"Name": f"tag:{key}", "Values": [value]} for key, value in tags.items()]]
        if ids:
            asked.append([{"Name": "volume-id", "Values": list(ids)}])
        found: dict[str, DataVolume] = {}
        for filters in asked:
            for page in self._session.client("ec2").get_paginator("describe_volumes").paginate(Filters=filters):
                found |= {each["VolumeId"]: _data_volume(each) for each in page["Volumes"]}
        return tuple(found.values())

    @in_our_words
    def zones(self) -> tuple[str, ...]:
        """The region's availability zones, but for local and wavelength ones. One call."""
        filters = [
            {"Name": "state", "Values": ["available"]},
            {"Name": "opt-in-status", "Values": ["opt-in-not-required"]},
        ]
        found = self._session.client("ec2").describe_availability_zones(Filters=filters)["AvailabilityZones"]
        return tuple(each["ZoneName"] for each in found)

    @in_our_words
    def zones_offering(self, instance_type: str) -> tuple[str, ...]:
        """The region's zones that have machines of a type. One call."""
        filters = [{"Name": "instance-type", "Values": [instance_type]}]
        pages = self._session.client("ec2").get_paginator("describe_instance_type_offerings")
        found = pages.paginate(LocationType="availability-zone", Filters=filters)
        return tuple(sorted(each["Location"] for page in found for each in page["InstanceTypeOfferings"]))

    @in_our_words
    def targets(self, target_group: str) -> tuple[Target, ...]:
        """All targets of a target group (ARN). One call, whatever their number."""
        answer = self._session.client("elbv2").describe_target_health(TargetGroupArn=target_group)
        return tuple(
            Target(
                instance=each["Target"]["Id"],
                state=each["TargetHealth"]["State"],
                reason=each["TargetHealth"].get("Reason", ""),
                description=each["TargetHealth"].get("Description", ""),
            )
            for each in answer["TargetHealthDescriptions"]
        )

    @in_our_words
    def activities(self, group: str) -> tuple[ScalingActivity, ...]:
        """The latest scaling activities of a group, newest first. One call."""
        answer = self._session.client("autoscaling").describe_scaling_activities(
            AutoScalingGroupName=group, MaxRecords=MOST_ACTIVITIES
        )
        return tuple(
            ScalingActivity(
                started=each["StartTime"],
                status=each["StatusCode"],
                description=each.get("Description", ""),
                message=each.get("StatusMessage", ""),
                cause=each.get("Cause", ""),
            )
            for each in answer["Activities"]
        )

    @in_our_words
    def listeners_of(self, target_groups: Iterable[str]) -> tuple[Listener, ...]:
        """Every listener of every load balancer that these target groups (ARNs) are behind, and as one more each rule
        of ours that names any of them.

        A target group that is gone is behind none, and hides none of the others. Calls: one, then one per load
        balancer, one per listener (its rules), one for the listeners' tags, one for those of twenty rules.
        """
        asked = list(target_groups)
        listeners = [each for arn in self._balancers_of(asked) for each in self._describe_listeners(arn)]
        owned = self._owned([each["ListenerArn"] for each in listeners])
        seen = []
        named: list[str] = []
        for each in listeners:
            try:
                rules = self._describe_rules(each["ListenerArn"])
            except ClientError as error:
                if is_fault(error, "ListenerNotFound"):  # on a destroy, listeners go while this is asked
                    continue
                raise
            seen.append((each, rules))
            named += [rule["RuleArn"] for rule in rules if _names_any(rule, asked) and not rule["IsDefault"]]
        ours = self._owned(named)
        found = []
        for each, rules in seen:
            arn, port = each["ListenerArn"], each["Port"]
            rest = [rule for rule in rules if rule["RuleArn"] not in ours]
            purpose = owned[arn].purpose if arn in owned else None
            found.append(Listener(arn=arn, port=port, purpose=purpose, weights=_weights_of(rest)))
            for rule in rules:
                if own := ours.get(rule["RuleArn"]):
                    weights = _weights_of([rule])
                    found.append(Listener(arn=rule["RuleArn"], port=port, purpose=own.purpose, weights=weights))
        return tuple(found)

    @in_our_words
    def entrance(self, target_group: str, purpose: Purpose, *, has_url: bool = True) -> Entrance | None:
        """The listener for this purpose of the service whose own listener names a target group (ARN), or on a shared
        load balancer its rule; None where there is none.

        Of two, the one that names the target group. Four calls, three where no URL is wanted; with rules one more for
        each listener, and one for the tags of twenty rules. A target group that no listener names is behind no load
        balancer.
        """
        for balancer in self._balancers_of([target_group]):
            listeners = self._describe_listeners(balancer)
            ways = self._own_listeners(listeners)
            if not any(target_group in way.weights for way in ways):
                ways = self._own_rules(listeners, target_group)
            owner = next((way.own.tags for way in ways if target_group in way.weights), None)
            ours = [way for way in ways if way.own.tags == owner]
            meant = [way for way in ours if way.own.purpose is purpose]
            for way in sorted(meant, key=lambda way: target_group not in way.weights):
                address = str(self._describe_balancer(balancer)["DNSName"]) if has_url else ""
                return way.entrance(address, ours)
        return None

    @in_our_words
    def shares(self, groups: Sequence[Group]) -> dict[str, int]:
        """Who takes how much of the traffic, in percent by release, as the production listener says of the load
        balancer that these groups are behind. Empty where none of them is behind one.

        Three calls for the first group that a listener names: those that are likely to be named come first.
        """
        releases = {arn: group.release for group in groups for arn in group.target_groups}
        for arn in releases:
            entrance = self.entrance(arn, Purpose.PRODUCTION, has_url=False)
            if entrance is None:
                continue
            whole = sum(entrance.weights.values()) or 1
            taken: dict[str, int] = {}
            for target_group, weight in entrance.weights.items():
                release = releases.get(target_group, target_group)
                taken[release] = taken.get(release, 0) + round(100 * weight / whole)
            return {release: share for release, share in taken.items() if share}
        return {}

    @in_our_words
    def balancer_of(self, target_groups: Iterable[str]) -> Balancer | None:
        """The load balancer that these target groups (ARNs) are behind; None where they are behind none. Two calls."""
        balancers = self._balancers_of(list(target_groups))
        try:
            return _balancer(self._describe_balancer(balancers[0])) if balancers else None
        except ClientError as error:
            if is_fault(error, "LoadBalancerNotFound"):
                return None
            raise

    @in_our_words
    def front(self, listener: str, priorities: Collection[int]) -> Front | None:
        """A listener (ARN) of anybody's, with those of its rules that have one of these priorities; None where there is
        none. Four calls, and one for the tags of rules."""
        elb = self._session.client("elbv2")
        try:
            (found,) = elb.describe_listeners(ListenerArns=[listener])["Listeners"]
        except ClientError as error:
            if is_fault(error, "ListenerNotFound"):
                return None
            raise
        balancer = _balancer(self._describe_balancer(found["LoadBalancerArn"]))
        rules = [each for each in self._describe_rules(listener) if each["Priority"] in map(str, priorities)]
        tags = self._tags_of([each["RuleArn"] for each in rules])
        filters = [{"Name": "group-id", "Values": list(balancer.security_groups)}]
        pages = self._session.client("ec2").get_paginator("describe_security_group_rules")
        egress = [
            each
            for page in (pages.paginate(Filters=filters) if balancer.security_groups else ())
            for each in page["SecurityGroupRules"]
            if each["IsEgress"]
        ]
        return Front(
            listener=listener,
            port=found["Port"],
            protocol=found["Protocol"],
            balancer=balancer,
            rules=tuple(
                Rule(
                    arn=each["RuleArn"],
                    priority=int(each["Priority"]),
                    tags=tags.get(each["RuleArn"], {}),
                    conditions=_in_words(each["Conditions"]),
                )
                for each in rules
            ),
            egress=tuple(
                Egress(
                    network=each.get("CidrIpv4", ""),
                    protocol=each["IpProtocol"],
                    from_port=each.get("FromPort", -1),
                    to_port=each.get("ToPort", -1),
                    tags={tag["Key"]: tag.get("Value", "") for tag in each.get("Tags", [])},
                )
                for each in egress
            ),
        )

    @in_our_words
    def protected_balancers(self, target_groups: Iterable[str], owner: Owner) -> tuple[str, ...]:
        """The owner's load balancers (ARNs) that these target groups (ARNs) are behind and that AWS refuses to delete.

        Calls: one, then one per load balancer, and two for each that is protected.
        """
        balancers = self._balancers_of(list(target_groups))
        return tuple(arn for arn in balancers if self._is_protected(arn) and self._has_listener(arn, owner))

    @in_our_words
    def default_weights(self, listener: str) -> dict[str, int]:
        """What the default action of a listener (ARN) forwards to, or a rule of a shared one (ARN): weight by target
        group ARN. One call.

        Another rule is not traffic: one that somebody made to look at a candidate says nothing of the users.
        """
        if ":listener-rule/" in listener:
            return _weights_of(self._session.client("elbv2").describe_rules(RuleArns=[listener])["Rules"])
        return _weights_of([rule for rule in self._describe_rules(listener) if rule["IsDefault"]])

    @in_our_words
    def account(self) -> str:
        """The caller's. One call."""
        return str(self._session.client("sts").get_caller_identity()["Account"])

    @in_our_words
    def certificate(self, arn: str) -> Certificate | None:
        """A certificate of ACM; None where this region and account have none of that ARN. One call."""
        try:
            found = self._session.client("acm").describe_certificate(CertificateArn=arn)["Certificate"]
        except ClientError as error:
            if is_fault(error, "ResourceNotFoundException", "InvalidArnException"):
                return None
            raise
        return Certificate(
            arn=arn,
            status=found["Status"],
            names=tuple(dict.fromkeys([found["DomainName"], *found.get("SubjectAlternativeNames", [])])),
            not_after=found.get("NotAfter"),
        )

    @in_our_words
    def has_tls_policy(self, name: str) -> bool:
        """Whether load balancers of the region have a security policy of that name. One call."""
        try:
            answer = self._session.client("elbv2").describe_ssl_policies(Names=[name])
        except ClientError as error:
            if is_fault(error, "SSLPolicyNotFound"):
                return False
            raise
        return any(each["Name"] == name for each in answer["SslPolicies"])

    @in_our_words
    def hosted_zones(self, zone: str) -> tuple[HostedZone, ...]:
        """The account's hosted zones of that id, or of that name: it may have several. One call."""
        route53 = self._session.client("route53")
        if is_zone_id(zone):
            try:
                found = [route53.get_hosted_zone(Id=zone)["HostedZone"]]
            except ClientError as error:
                if is_fault(error, "NoSuchHostedZone"):
                    return ()
                raise
        else:
            found = route53.list_hosted_zones_by_name(DNSName=zone)["HostedZones"]  # from there on, in order
        return tuple(
            HostedZone(
                id=each["Id"].removeprefix("/hostedzone/"),
                name=each["Name"].rstrip("."),
                is_private=each["Config"]["PrivateZone"],
            )
            for each in found
            if is_zone_id(zone) or each["Name"].rstrip(".") == zone
        )

    @in_our_words
    def bucket_region(self, bucket: str) -> str | None:
        """The region of a bucket, empty where it is somebody's who does not say; None where there is none. One call."""
        try:
            answer = self._session.client("s3").head_bucket(Bucket=bucket)
        except ClientError as error:
            if is_fault(error, "404", "NoSuchBucket"):
                return None
            if is_fault(error, "301", "403", "400"):
                headers = error.response["ResponseMetadata"].get("HTTPHeaders", {})
                return str(headers.get("x-amz-bucket-region", ""))
            raise
        return str(answer.get("BucketRegion", ""))

    @in_our_words
    def bucket(self, name: str, account: str) -> Bucket | None:
        """A bucket, as this account sees it; None where there is none of that name. At most two calls."""
        s3 = self._session.client("s3")
        try:
            answer = s3.head_bucket(Bucket=name, ExpectedBucketOwner=account)
        except ClientError as error:
            if is_fault(error, "404", "NoSuchBucket"):
                return None
            if is_fault(error, "301", "403", "400"):
                return Bucket(is_of_account=False)
            raise
        tags: dict[str, str] = {}
        try:
            found = s3.get_bucket_tagging(Bucket=name, ExpectedBucketOwner=account)["TagSet"]
            tags = {each["Key"]: each["Value"] for each in found}
        except ClientError as error:
            if not is_fault(error, "NoSuchTagSet"):
                raise
        return Bucket(is_of_account=True, region=str(answer.get("BucketRegion", "")), tags=tags)

    @in_our_words
    def kms_key(self, arn: str) -> KmsKey | None:
        """A key of this region; None where there is none of that ARN, or alias. One call."""
        try:
            found = self._session.client("kms").describe_key(KeyId=arn)["KeyMetadata"]
        except ClientError as error:
            if is_fault(error, "NotFoundException"):
                return None
            raise
        return KmsKey(
            arn=found["Arn"],
            state=found["KeyState"],
            spec=found.get("KeySpec", ""),
            usage=found.get("KeyUsage", ""),
            is_aws_managed=found.get("KeyManager") == "AWS",
        )

    @in_our_words
    def kms_key_of(self, alias: str) -> KmsKey | None:
        """The key that an alias (`alias/...`) is of, with its tags, as far as this caller may read them: a role that
        deploys may read those of its own stack. One call where there is no such key, else two."""
        found = self.kms_key(alias)
        if found is None:
            return None
        pages = self._session.client("kms").get_paginator("list_resource_tags").paginate(KeyId=found.arn)
        try:
            tags = {each["TagKey"]: each["TagValue"] for page in pages for each in page["Tags"]}
        except ClientError as error:
            if not is_fault(error, "AccessDeniedException"):
                raise
            tags = {}
        return replace(found, tags=tags)

    @in_our_words
    def has_auto_scaling_role(self) -> bool:
        """Whether Auto Scaling has the role yet by which it launches machines. One call."""
        try:
            self._session.client("iam").get_role(RoleName=AUTO_SCALING_ROLE)
        except ClientError as error:
            if is_fault(error, "NoSuchEntity"):
                return False
            raise
        return True

    @in_our_words
    def has_web_acl(self, arn: str) -> bool:
        """Whether the region has this web ACL. One call."""
        _, _, name, identifier = arn.rpartition(":")[2].split("/")
        try:
            self._session.client("wafv2").get_web_acl(Name=name, Scope="REGIONAL", Id=identifier)
        except ClientError as error:
            if is_fault(error, "WAFNonexistentItemException"):
                return False
            raise
        return True

    @in_our_words
    def parameters(self, path: str) -> dict[str, str]:
        """What SSM has below a path, by whole name; secret values as they are kept, encrypted. One call or two."""
        pages = self._session.client("ssm").get_paginator("get_parameters_by_path").paginate(Path=path, Recursive=True)
        return {each["Name"]: each["Value"] for page in pages for each in page["Parameters"]}

    @in_our_words
    def drain_seconds(self, target_group: str) -> float:
        """The deregistration delay of a target group (ARN), 0 where it is gone. One call."""
        try:
            answer = self._session.client("elbv2").describe_target_group_attributes(TargetGroupArn=target_group)
        except ClientError as error:
            if is_fault(error, "TargetGroupNotFound"):
                return 0.0
            raise
        attributes = {each["Key"]: each["Value"] for each in answer["Attributes"]}
        return float(attributes["deregistration_delay.timeout_seconds"])

    @in_our_words
    def alarms(self, names: Sequence[str]) -> tuple[Alarm, ...]:
        """Those of the alarms with these names that exist, composite ones too. One call, none without names."""
        if not names:
            return ()
        answer = self._session.client("cloudwatch").describe_alarms(
            AlarmNames=list(names), AlarmTypes=["MetricAlarm", "CompositeAlarm"], MaxRecords=MOST_ALARMS
        )
        return tuple(_alarm(each) for each in (*answer["MetricAlarms"], *answer.get("CompositeAlarms", [])))

    @in_our_words
    def alarms_of(self, release: str, target_group: str, listener: str) -> tuple[Alarm, ...]:
        """The alarms that came with a release: named after it (`web-4d197941`), on its target group (ARN), or on all of
        the load balancer of this listener (ARN). One call."""
        pages = self._session.client("cloudwatch").get_paginator("describe_alarms")
        balancer = {"Name": "LoadBalancer", "Value": load_balancer_dimension(listener)}
        group = {"Name": "TargetGroup", "Value": target_group_dimension(target_group)}
        return tuple(
            _alarm(each)
            for page in pages.paginate(AlarmNamePrefix=f"{release}-", AlarmTypes=["MetricAlarm"])
            for each in page["MetricAlarms"]
            if balancer in (found := _dimensions(each)) and all(it in (balancer, group) for it in found)
        )

    @in_our_words
    def traffic(self, listener: str, target_group: str, since: datetime, clock: str | None = None) -> Traffic:
        """What the load balancer of a listener (ARN) has reported of a target group (ARN) since a moment. One call.

        Periods are counted by the healthy hosts of `clock`, the same target group unless another is named: they are
        reported every period, requests only when there are some.
        """
        balancer = load_balancer_dimension(listener)

        def query(name: str, metric: str, statistic: str, group: str) -> dict[str, Any]:
            dimensions = {"LoadBalancer": balancer, "TargetGroup": target_group_dimension(group)}
            return {
                "Id": name,
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/ApplicationELB",
                        "MetricName": metric,
                        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
                    },
                    "Period": METRIC_PERIOD_SECONDS,
                    "Stat": statistic,
                },
            }

        answer = self._session.client("cloudwatch").get_metric_data(
            MetricDataQueries=[
                query("requests", "RequestCount", "Sum", target_group),
                query("hosts", "HealthyHostCount", "Maximum", clock or target_group),
            ],
            StartTime=since,
            EndTime=datetime.now(UTC) + timedelta(seconds=METRIC_PERIOD_SECONDS),
        )
        values = {
            each["Id"]: dict(zip(each["Timestamps"], each["Values"], strict=True))
            for each in answer["MetricDataResults"]
        }
        # A period that began before has seen what was before.
        requests = [value for at, value in values["requests"].items() if at >= since]
        return Traffic(periods=sum(at >= since for at in values["hosts"]), requests=sum(requests) if requests else None)

    @in_our_words
    def console_output(self, instance: str) -> str:
        """What a machine has written to its console, as far as EC2 has it; empty where it has nothing. One call."""
        ec2 = self._session.client("ec2")
        try:
            try:
                answer = ec2.get_console_output(InstanceId=instance, Latest=True)
            except ClientError as error:
                if not is_fault(error, "UnsupportedOperation"):  # only Nitro types have the latest
                    raise
                answer = ec2.get_console_output(InstanceId=instance)
        except ClientError as error:
            if is_fault(error, "InvalidInstanceID.NotFound"):
                return ""
            raise
        return str(answer.get("Output", ""))  # botocore has decoded it

    @in_our_words
    def image(self, image: str) -> Image | None:
        """An AMI; None where it does not exist or may not be seen. One call."""
        try:
            images = self._session.client("ec2").describe_images(ImageIds=[image])["Images"]
        except ClientError as error:
            if is_fault(error, "InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "InvalidAMIID.Malformed"):
                return None
            raise
        for each in images:
            return Image(
                id=each["ImageId"],
                state=each["State"],
                architecture=each.get("Architecture", ""),
                root_device=each.get("RootDeviceName", ""),
                tags={tag["Key"]: tag["Value"] for tag in each.get("Tags", [])},
            )
        return None

    @in_our_words
    def instance_type(self, name: str) -> InstanceType | None:
        """An instance type; None where the region has none of that name. One call."""
        try:
            types = self._session.client("ec2").describe_instance_types(InstanceTypes=[name])["InstanceTypes"]
        except ClientError as error:
            if is_fault(error, "InvalidInstanceType"):
                return None
            raise
        for each in types:
            return InstanceType(
                name=each["InstanceType"],
                architectures=tuple(each.get("ProcessorInfo", {}).get("SupportedArchitectures", [])),
                vcpus=each.get("VCpuInfo", {}).get("DefaultVCpus"),
            )
        return None

    @in_our_words
    def has_key_pair(self, name: str) -> bool:
        """Whether the region has a key pair of that name. One call."""
        try:
            pairs = self._session.client("ec2").describe_key_pairs(KeyNames=[name])["KeyPairs"]
        except ClientError as error:
            if is_fault(error, "InvalidKeyPair.NotFound"):
                return False
            raise
        return bool(pairs)

    @in_our_words
    def has_instance_profile(self, name: str) -> bool:
        """Whether the account has an instance profile of that name. One call."""
        try:
            self._session.client("iam").get_instance_profile(InstanceProfileName=name)
        except ClientError as error:
            if is_fault(error, "NoSuchEntity"):
                return False
            raise
        return True

    @in_our_words
    def vcpu_quota(self, code: str) -> int | None:
        """The account's EC2 quota of that code in this region; None where Service Quotas does not say. One call."""
        try:
            quotas = self._session.client("service-quotas")
            answer = quotas.get_service_quota(ServiceCode="ec2", QuotaCode=code)
        except EndpointConnectionError:  # not every region has the service
            return None
        except ClientError as error:
            if is_fault(error, "NoSuchResourceException"):
                return None
            raise
        return int(answer["Quota"]["Value"])

    @in_our_words
    def on_demand_machines(self) -> tuple[Machine, ...]:
        """Every instance of the region that counts against a quota of on-demand vCPUs. One call for each page.

        Those that stop or end no longer count, and spot instances have quotas of their own (EC2 User Guide,
        "On-Demand Instance quotas").
        """
        running = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
        pages = self._session.client("ec2").get_paginator("describe_instances").paginate(Filters=running)
        return tuple(
            Machine(instance_type=each["InstanceType"], vcpus=_vcpus(each.get("CpuOptions", {})))
            for page in pages
            for reservation in page["Reservations"]
            for each in reservation["Instances"]
            if each.get("InstanceLifecycle") != "spot"
        )

    @in_our_words
    def consul_servers(self, owner: Owner) -> tuple[ConsulServer, ...]:
        """Those of a stack's cluster that run or start. One call."""
        filters = {f"tag:{JOIN}": [joined_by(owner)], "instance-state-name": ["pending", "running"]}
        found = self._session.client("ec2").describe_instances(
            Filters=[{"Name": name, "Values": values} for name, values in filters.items()]
        )
        return tuple(
            ConsulServer(
                image=each["ImageId"],
                instance_type=each["InstanceType"],
                tags={tag["Key"]: tag["Value"] for tag in each["Tags"] if not tag["Key"].startswith("aws:")},
            )
            for reservation in found["Reservations"]
            for each in reservation["Instances"]
        )

    def _describe_groups(self, **request: Any) -> Iterator[Group]:
        pages = self._session.client("autoscaling").get_paginator("describe_auto_scaling_groups").paginate(**request)
        for page in pages:
            for each in page["AutoScalingGroups"]:
                tags = {tag["Key"]: tag.get("Value", "") for tag in each.get("Tags", [])}
                yield Group(
                    name=each["AutoScalingGroupName"],
                    service=tags.get(SERVICE, ""),
                    minimum=each["MinSize"],
                    maximum=each["MaxSize"],
                    desired=each["DesiredCapacity"],
                    target_groups=tuple(each.get("TargetGroupARNs", [])),
                    instances=tuple(instance["InstanceId"] for instance in each.get("Instances", [])),
                    release=tags.get(RELEASE, ""),
                    subnets=tuple(filter(None, each.get("VPCZoneIdentifier", "").split(","))),
                    zones=tuple(each.get("AvailabilityZones", [])),
                    is_behind_shared=tags.get(BALANCER) == SHARED,
                )

    def _describe_target_groups(self, arns: list[str]) -> list[dict[str, Any]]:
        """Those of them that exist. AWS answers for none if one is missing, and for all there are if asked for none."""
        if not arns:
            return []
        try:
            answer = self._session.client("elbv2").describe_target_groups(TargetGroupArns=arns)
        except ClientError as error:
            if not is_fault(error, "TargetGroupNotFound"):
                raise
            return [] if len(arns) == 1 else [each for arn in arns for each in self._describe_target_groups([arn])]
        found: list[dict[str, Any]] = answer["TargetGroups"]
        return found

    def _balancers_of(self, target_groups: list[str]) -> list[str]:
        found = self._describe_target_groups(target_groups)
        return sorted({arn for each in found for arn in each.get("LoadBalancerArns", [])})

    def _describe_rules(self, listener: str) -> list[dict[str, Any]]:
        """The listener's default action is among them."""
        pages = self._session.client("elbv2").get_paginator("describe_rules").paginate(ListenerArn=listener)
        return [rule for page in pages for rule in page["Rules"]]

    def _own_listeners(self, listeners: list[dict[str, Any]]) -> list[_Way]:
        owned = self._owned([each["ListenerArn"] for each in listeners])
        return [
            _Way(arn=arn, own=owned[arn], listener=each, weights=_weights_of([{"Actions": each["DefaultActions"]}]))
            for each in listeners
            if (arn := each["ListenerArn"]) in owned
        ]

    def _own_rules(self, listeners: list[dict[str, Any]], target_group: str) -> list[_Way]:
        """Of listeners that have a rule which names a target group (ARN): every rule that is ours."""
        ways = []
        for listener in listeners:
            rules = [rule for rule in self._describe_rules(listener["ListenerArn"]) if not rule["IsDefault"]]
            if not any(_names_any(rule, [target_group]) for rule in rules):
                continue
            owned = self._owned([rule["RuleArn"] for rule in rules])
            ways += [
                _Way(arn=arn, own=owned[arn], listener=listener, weights=_weights_of([rule]), rule=rule)
                for rule in rules
                if (arn := rule["RuleArn"]) in owned
            ]
        return ways

    def _has_listener(self, balancer: str, owner: Owner) -> bool:
        """Whether a load balancer (ARN) has a listener that is the owner's: one that is shared has rules."""
        listeners = [each["ListenerArn"] for each in self._describe_listeners(balancer)]
        return any(owner.tags.items() <= own.tags.items() for own in self._owned(listeners).values())

    def _is_protected(self, balancer: str) -> bool:
        try:
            answer = self._session.client("elbv2").describe_load_balancer_attributes(LoadBalancerArn=balancer)
        except ClientError as error:
            if is_fault(error, "LoadBalancerNotFound"):
                return False
            raise
        attributes = {each["Key"]: each["Value"] for each in answer["Attributes"]}
        return attributes.get("deletion_protection.enabled") == "true"

    def _describe_balancer(self, balancer: str) -> dict[str, Any]:
        answer = self._session.client("elbv2").describe_load_balancers(LoadBalancerArns=[balancer])
        found: dict[str, Any] = answer["LoadBalancers"][0]
        return found

    def _describe_listeners(self, balancer: str) -> list[dict[str, Any]]:
        """None where the load balancer is gone: on a destroy it goes while this is asked."""
        pages = self._session.client("elbv2").get_paginator("describe_listeners").paginate(LoadBalancerArn=balancer)
        try:
            return [each for page in pages for each in page["Listeners"]]
        except ClientError as error:
            if is_fault(error, "LoadBalancerNotFound"):
                return []
            raise

    def _owned(self, arns: list[str]) -> dict[str, _Own]:
        """What listeners or rules (ARNs) of ours are for, and whose they are; others are not in it."""
        return {
            arn: _Own(
                purpose=Purpose(tags[LISTENER]),
                tags={key: tags[key] for key in (PROJECT, STACK, SERVICE) if key in tags},
            )
            for arn, tags in self._tags_of(arns).items()
            if tags.get(LISTENER) in set(Purpose)
        }

    def _tags_of(self, arns: list[str]) -> dict[str, dict[str, str]]:
        return {
            each["ResourceArn"]: {tag["Key"]: tag.get("Value", "") for tag in each["Tags"]}
            for start in range(0, len(arns), MOST_ARNS_IN_A_CALL)
            for each in self._describe_tags(arns[start : start + MOST_ARNS_IN_A_CALL])
        }

    def _describe_tags(self, arns: list[str]) -> list[dict[str, Any]]:
        """Those of the listeners or rules that exist: AWS answers for none if one is missing."""
        try:
            answer = self._session.client("elbv2").describe_tags(ResourceArns=arns)
        except ClientError as error:
            if not is_fault(error, "ListenerNotFound", "RuleNotFound"):
                raise
            return [] if len(arns) == 1 else [each for arn in arns for each in self._describe_tags([arn])]
        found: list[dict[str, Any]] = answer["TagDescriptions"]
        return found


@dataclass(frozen=True, kw_only=True)
class _Own:
    """What a listener or rule of ours is for. `tags`: those that say whose it is."""

    purpose: Purpose
    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class _Way:
    """A listener, or a rule of one, that is ours."""

    arn: str
    own: _Own
    listener: Mapping[str, Any]
    weights: dict[str, int]
    rule: Mapping[str, Any] | None = None

    def comes_before(self, other: _Way) -> bool:
        is_here = self.listener["ListenerArn"] == other.listener["ListenerArn"]
        return is_here and self._priority < other._priority

    @property
    def _priority(self) -> int:
        return int(self.rule["Priority"]) if self.rule else 0

    def entrance(self, address: str, others: Iterable[_Way]) -> Entrance:
        """`address`: of the load balancer, empty where no URL is wanted. `others`: of the same service."""
        scheme, port = self.listener["Protocol"].lower(), self.listener["Port"]
        if self.rule is None:
            url = f"{scheme}://{address}:{port}" if address else ""
            return Entrance(listener=self.arn, url=url, weights=self.weights)
        hosts = [value for kind, _, values in _conditions(self.rule) if kind == "host-header" for value in values]
        host = next((each for each in hosts if not set(each) & set("*?")), address)
        return Entrance(
            listener=self.arn,
            url=f"{scheme}://{host}:{port}" if address else "",
            weights=self.weights,
            address=address,
            headers=tuple((name, values[0]) for kind, name, values in _conditions(self.rule) if kind == "http-header"),
            is_hidden=self.own.purpose is Purpose.PREVIEW
            and any(way.own.purpose is Purpose.PRODUCTION and way.comes_before(self) for way in others),
        )


def load_balancer_dimension(listener: str) -> str:
    """A load balancer as CloudWatch names it, from the ARN of one of its listeners:
    `...:listener/app/web/50dc6c495c0c9188/f2f7dc8efc522ab2` has `app/web/50dc6c495c0c9188`."""
    return "/".join(listener.rpartition(":")[2].split("/")[1:4])


def target_group_dimension(target_group: str) -> str:
    """A target group as CloudWatch names it, from its ARN: `targetgroup/web/73e2d6bc24d8a067`."""
    return target_group.rpartition(":")[2]


def _alarm(found: dict[str, Any]) -> Alarm:
    return Alarm(name=found["AlarmName"], state=found["StateValue"], reason=found.get("StateReason", ""))


def _dimensions(alarm: dict[str, Any]) -> list[dict[str, str]]:
    """Of the alarm's metric, or of all the metrics of its expression."""
    metrics = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each]
    return [each for metric in (alarm, *metrics) for each in metric.get("Dimensions", [])]


def _has_ipv6(vpc: dict[str, Any]) -> bool:
    blocks = vpc.get("Ipv6CidrBlockAssociationSet", [])
    return any(each["Ipv6CidrBlockState"]["State"] in ("associating", "associated") for each in blocks)


def _ways_out(tables: list[dict[str, Any]]) -> dict[str, WayOut]:
    """By subnet, of those with a table of their own; `MAIN` for all others."""
    ways = {MAIN: WayOut.NONE}
    for table in tables:
        way = _way_out(table["Routes"])
        for each in table.get("Associations", []):
            if each.get("Main"):
                ways[MAIN] = way
            elif subnet := each.get("SubnetId"):
                ways[subnet] = way
    return ways


def _way_out(routes: list[dict[str, Any]]) -> WayOut:
    """A route whose target is gone leads nowhere."""
    for route in routes:
        if route.get("DestinationCidrBlock") == "0.0.0.0/0" and route.get("State") != "blackhole":
            is_gateway = route.get("GatewayId", "").startswith("igw-")
            return WayOut.INTERNET_GATEWAY if is_gateway else WayOut.OTHER
    return WayOut.NONE


def _vcpus(options: dict[str, Any]) -> int | None:
    try:
        return int(options["CoreCount"] * options["ThreadsPerCore"])
    except KeyError:
        return None


def _balancer(found: Mapping[str, Any]) -> Balancer:
    return Balancer(
        arn=found["LoadBalancerArn"],
        vpc=found.get("VpcId", ""),
        is_internal=found.get("Scheme") == "internal",
        address=found["DNSName"],
        address_zone=found.get("CanonicalHostedZoneId", ""),
        is_dualstack=found.get("IpAddressType") == "dualstack",
        zones=tuple(sorted(each["ZoneName"] for each in found.get("AvailabilityZones", []))),
        security_groups=tuple(found.get("SecurityGroups", [])),
    )


def _conditions(rule: Mapping[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """Kind, name of the header where it is about one, and values, of conditions that have plain values."""
    for each in rule["Conditions"]:
        configs = [value for key, value in each.items() if key.endswith("Config") and value]
        config = configs[0] if configs else each
        values = [str(value) for value in config.get("Values") or each.get("Values") or ()]
        if values:
            yield each["Field"], config.get("HttpHeaderName", ""), values


def _in_words(conditions: list[dict[str, Any]]) -> str:
    found = _conditions({"Conditions": conditions})
    return ", ".join(f"{name or kind} {' or '.join(values)}" for kind, name, values in found)


def _names_any(rule: Mapping[str, Any], target_groups: Collection[str]) -> bool:
    return any(arn in target_groups for arn in _weights_of([rule]))


def _weights_of(rules: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """What rules together forward to: weight by target group ARN."""
    weights: dict[str, int] = {}
    for rule in rules:
        for action in rule["Actions"]:
            for arn, weight in _forwards(action):
                weights[arn] = weights.get(arn, 0) + weight
    return weights


def _forwards(action: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Target group ARN and weight of each target group that an action forwards to."""
    if action["Type"] != "forward":
        return
    groups = action.get("ForwardConfig", {}).get("TargetGroups", [])
    if groups:
        for each in groups:
            yield each["TargetGroupArn"], each.get("Weight", 1)
    elif arn := action.get("TargetGroupArn"):
        yield arn, 1


def _data_volume(described: Mapping[str, Any]) -> DataVolume:
    tags = {tag["Key"]: tag.get("Value", "") for tag in described.get("Tags", [])}
    return DataVolume(
        id=described["VolumeId"],
        zone=described["AvailabilityZone"],
        size_gb=described["Size"],
        member=tags.get(MEMBER, ""),
        address=tags.get(ADDRESS, ""),
        is_protected=tags.get(PROTECTED) == "true",
    )
