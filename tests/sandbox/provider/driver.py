"""Asks a provider as an engine does, and builds what a program would build."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import boto3
from pulumi.runtime.proto import provider_pb2

from sandbox.provider.wire import Props, decode, encode
from tests.sandbox.cloud.keys import KeyPair

VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"
INTERNET_GATEWAY = "aws:ec2/internetGateway:InternetGateway"
EIP = "aws:ec2/eip:Eip"
NAT_GATEWAY = "aws:ec2/natGateway:NatGateway"
ROUTE_TABLE = "aws:ec2/routeTable:RouteTable"
ROUTE = "aws:ec2/route:Route"
ASSOCIATION = "aws:ec2/routeTableAssociation:RouteTableAssociation"
DEFAULT_SECURITY_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
FLOW_LOG = "aws:ec2/flowLog:FlowLog"
INSTANCE = "aws:ec2/instance:Instance"
NETWORK_INTERFACE = "aws:ec2/networkInterface:NetworkInterface"
VOLUME = "aws:ebs/volume:Volume"
VOLUME_ATTACHMENT = "aws:ec2/volumeAttachment:VolumeAttachment"
EGRESS_ONLY_GATEWAY = "aws:ec2/egressOnlyInternetGateway:EgressOnlyInternetGateway"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
ROLE = "aws:iam/role:Role"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
VPC_ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
SECURITY_GROUP = "aws:ec2/securityGroup:SecurityGroup"
INGRESS_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS_RULE = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
LOAD_BALANCER = "aws:lb/loadBalancer:LoadBalancer"
TARGET_GROUP = "aws:lb/targetGroup:TargetGroup"
LISTENER = "aws:lb/listener:Listener"
LISTENER_RULE = "aws:lb/listenerRule:ListenerRule"
LISTENER_CERTIFICATE = "aws:lb/listenerCertificate:ListenerCertificate"
LAUNCH_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
GROUP = "aws:autoscaling/group:Group"
POLICY = "aws:autoscaling/policy:Policy"
METRIC_ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
DASHBOARD = "aws:cloudwatch/dashboard:Dashboard"
SCHEDULE = "aws:autoscaling/schedule:Schedule"
PARAMETER = "aws:ssm/parameter:Parameter"
CERTIFICATE = "aws:acm/certificate:Certificate"
VALIDATION = "aws:acm/certificateValidation:CertificateValidation"
RECORD = "aws:route53/record:Record"
WEB_ACL_ASSOCIATION = "aws:wafv2/webAclAssociation:WebAclAssociation"
MANAGED_POLICY = "aws:iam/policy:Policy"
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
OIDC_PROVIDER = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
BUCKET = "aws:s3/bucket:Bucket"
BUCKET_PREFIX = "aws:s3/bucket"
VERSIONING = BUCKET_PREFIX + "Versioning:BucketVersioning"
KEY = "aws:kms/key:Key"
GRANT = "aws:kms/grant:Grant"
ALIAS = "aws:kms/alias:Alias"
INSTANCE_PROFILE = "aws:iam/instanceProfile:InstanceProfile"


@dataclass
class Resource:
    token: str
    name: str
    identifier: str
    inputs: Props
    state: Props

    @property
    def urn(self) -> str:
        return f"urn:pulumi:dev::project::{self.token}::{self.name}"


@dataclass
class Driver:
    """Does with one resource what an engine does: check, then diff or create, and so on."""

    stub: Any
    made: list[Resource] = field(default_factory=list)

    def check(self, token: str, name: str, news: Props, olds: Props | None = None) -> Any:
        urn = f"urn:pulumi:dev::project::{token}::{name}"
        return self.stub.Check(provider_pb2.CheckRequest(urn=urn, olds=encode(olds or {}), news=encode(news)))

    def checked(self, token: str, name: str, news: Props, olds: Props | None = None) -> Props:
        answer = self.check(token, name, news, olds)
        assert not answer.failures, answer.failures
        return decode(answer.inputs)

    def failures(self, token: str, news: Props, name: str = "it") -> dict[str, str]:
        return {failure.property: failure.reason for failure in self.check(token, name, news).failures}

    def create(self, token: str, name: str, /, **news: Any) -> Resource:
        inputs = self.checked(token, name, news)
        urn = f"urn:pulumi:dev::project::{token}::{name}"
        answer = self.stub.Create(provider_pb2.CreateRequest(urn=urn, properties=encode(inputs)))
        resource = Resource(token, name, answer.id, inputs, decode(answer.properties))
        self.made.append(resource)
        return resource

    def preview_create(self, token: str, name: str, **news: Any) -> Props:
        inputs = self.checked(token, name, news)
        urn = f"urn:pulumi:dev::project::{token}::{name}"
        request = provider_pb2.CreateRequest(urn=urn, properties=encode(inputs), preview=True)
        return decode(self.stub.Create(request).properties)

    def diff(self, resource: Resource, ignored: tuple[str, ...] = (), **news: Any) -> Any:
        inputs = self.checked(resource.token, resource.name, news, resource.inputs)
        return self.stub.Diff(
            provider_pb2.DiffRequest(
                id=resource.identifier,
                urn=resource.urn,
                olds=encode(resource.state),
                old_inputs=encode(resource.inputs),
                news=encode(inputs),
                ignoreChanges=ignored,
            )
        )

    def update(self, resource: Resource, **news: Any) -> Resource:
        inputs = self.checked(resource.token, resource.name, news, resource.inputs)
        answer = self.stub.Update(self._update_request(resource, inputs))
        return Resource(resource.token, resource.name, resource.identifier, inputs, decode(answer.properties))

    def preview_update(self, resource: Resource, **news: Any) -> Props:
        inputs = self.checked(resource.token, resource.name, news, resource.inputs)
        request = self._update_request(resource, inputs)
        request.preview = True
        return decode(self.stub.Update(request).properties)

    def _update_request(self, resource: Resource, inputs: Props) -> Any:
        return provider_pb2.UpdateRequest(
            id=resource.identifier,
            urn=resource.urn,
            olds=encode(resource.state),
            old_inputs=encode(resource.inputs),
            news=encode(inputs),
        )

    def read(self, resource: Resource) -> Resource | None:
        request = provider_pb2.ReadRequest(
            id=resource.identifier,
            urn=resource.urn,
            properties=encode(resource.state),
            inputs=encode(resource.inputs),
        )
        answer = self.stub.Read(request)
        if not answer.id:
            return None
        return Resource(resource.token, resource.name, answer.id, decode(answer.inputs), decode(answer.properties))

    def delete(self, resource: Resource, timeout: float = 0) -> None:
        properties = encode(resource.state)
        self.stub.Delete(
            provider_pb2.DeleteRequest(id=resource.identifier, urn=resource.urn, properties=properties, timeout=timeout)
        )

    def invoke(self, token: str, **arguments: Any) -> Props:
        answer = self.stub.Invoke(provider_pb2.InvokeRequest(tok=token, args=encode(arguments)))
        assert not answer.failures, answer.failures
        return decode(getattr(answer, "return"))


def certificate(*names: str) -> str:
    """The ARN of a new one in ACM."""
    pair = KeyPair.signed_by_itself(*names)
    made = boto3.client("acm").import_certificate(Certificate=pair.certificate, PrivateKey=pair.key)
    return str(made["CertificateArn"])


def hosted_zone(name: str) -> str:
    """The id of a new one in Route 53."""
    made = boto3.client("route53").create_hosted_zone(Name=name, CallerReference=name)
    return str(made["HostedZone"]["Id"]).removeprefix("/hostedzone/")


def web_acl(name: str) -> str:
    """The ARN of a new one in WAF."""
    visibility = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": name}
    made = boto3.client("wafv2").create_web_acl(
        Name=name, Scope="REGIONAL", DefaultAction={"Allow": {}}, VisibilityConfig=visibility
    )
    return str(made["Summary"]["ARN"])


@dataclass
class Stack:
    """One resource of every type, as the program would have them."""

    driver: Driver
    vpc: Resource
    subnets: list[Resource]
    group: Resource

    @classmethod
    def network(cls, driver: Driver) -> Stack:
        vpc = driver.create(VPC, "net", cidrBlock="10.0.0.0/16", enableDnsHostnames=True, tags={"Name": "net"})
        subnets = [
            driver.create(
                SUBNET,
                f"public-{zone}",
                vpcId=vpc.identifier,
                cidrBlock=f"10.0.{index}.0/24",
                availabilityZone=f"us-east-1{zone}",
                mapPublicIpOnLaunch=True,
            )
            for index, zone in enumerate("ab")
        ]
        group = driver.create(SECURITY_GROUP, "lb", vpcId=vpc.identifier)
        return cls(driver, vpc, subnets, group)

    @property
    def subnet_ids(self) -> list[str]:
        return [subnet.identifier for subnet in self.subnets]

    def target_group(self, name: str = "web", **more: Any) -> Resource:
        health = {"path": "/health", "interval": 5, "timeout": 2, "healthyThreshold": 2}
        settings = {"port": 8080, "protocol": "HTTP", "healthCheck": health, "deregistrationDelay": 5, **more}
        return self.driver.create(TARGET_GROUP, name, vpcId=self.vpc.identifier, **settings)

    def load_balancer(self, name: str = "web", **more: Any) -> Resource:
        settings = {"securityGroups": [self.group.identifier], "subnets": self.subnet_ids, **more}
        return self.driver.create(LOAD_BALANCER, name, **settings)

    def listener(self, balancer: Resource, target_group: Resource, port: int = 80) -> Resource:
        forward = {"type": "forward", "targetGroupArn": target_group.identifier}
        return self.driver.create(
            LISTENER, f"on-{port}", loadBalancerArn=balancer.identifier, port=port, defaultActions=[forward]
        )

    def secure_listener(self, balancer: Resource, **more: Any) -> Resource:
        """HTTPS, and nothing behind it."""
        nothing = {"type": "fixed-response", "fixedResponse": {"contentType": "text/plain", "statusCode": "404"}}
        settings = {"port": 443, "protocol": "HTTPS", "defaultActions": [nothing], **more}
        if "certificateArn" not in more:
            settings["certificateArn"] = certificate("shop.example")
        return self.driver.create(LISTENER, "secure", loadBalancerArn=balancer.identifier, **settings)

    def rule(self, listener: Resource, target_group: Resource, name: str = "api", **more: Any) -> Resource:
        settings = {
            "actions": [{"type": "forward", "targetGroupArn": target_group.identifier}],
            "conditions": [
                {"hostHeader": {"values": ["api.example"]}},
                {"pathPattern": {"values": ["/v1/*", "/v2/*"]}},
            ],
            **more,
        }
        return self.driver.create(LISTENER_RULE, name, listenerArn=listener.identifier, **settings)

    def launch_template(self, name: str = "web", **more: Any) -> Resource:
        ebs = {"volumeSize": 8, "volumeType": "gp3", "encrypted": "true", "deleteOnTermination": "true"}
        settings = {
            "imageId": "ami-12c6146b",
            "instanceType": "t3.small",
            "userData": "aGVsbG8=",
            "vpcSecurityGroupIds": [self.group.identifier],
            "metadataOptions": {"httpEndpoint": "enabled", "httpTokens": "required", "instanceMetadataTags": "enabled"},
            "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": ebs}],
            "tagSpecifications": [{"resourceType": "volume", "tags": {"Name": "web"}}],
            **more,
        }
        return self.driver.create(LAUNCH_TEMPLATE, name, **settings)

    def group_inputs(self, template: Resource, target_group: Resource | None = None, **more: Any) -> Props:
        return {
            "minSize": 1,
            "maxSize": 3,
            "desiredCapacity": 2,
            "vpcZoneIdentifiers": self.subnet_ids,
            "launchTemplate": {"id": template.identifier, "version": "1"},
            "targetGroupArns": [target_group.identifier] if target_group else [],
            "healthCheckType": "ELB",
            "waitForCapacityTimeout": "0",
            "tags": [{"key": "bluegreen:release", "value": "1", "propagateAtLaunch": True}],
            **more,
        }

    def alarm(self, name: str = "slow", **more: Any) -> Resource:
        settings = {
            "comparisonOperator": "GreaterThanThreshold",
            "threshold": 0.5,
            "evaluationPeriods": 3,
            "namespace": "AWS/ApplicationELB",
            "metricName": "TargetResponseTime",
            "extendedStatistic": "p99",
            "period": 60,
            "dimensions": {"LoadBalancer": "app/web/1", "TargetGroup": "targetgroup/web/1"},
            **more,
        }
        return self.driver.create(METRIC_ALARM, name, **{key: it for key, it in settings.items() if it is not None})

    def parameter(self, **more: Any) -> Resource:
        settings = {"name": "/bluegreen/shop/dev/web/image", "type": "String", "insecureValue": "ami-1", **more}
        return self.driver.create(PARAMETER, "image", **settings)

    def certificate(self, **more: Any) -> Resource:
        return self.driver.create(CERTIFICATE, "web", domainName="shop.example", validationMethod="DNS", **more)

    def record(self, zone: str, **more: Any) -> Resource:
        settings = {"name": "www.shop.example", "type": "CNAME", "ttl": 60, "records": ["elsewhere.example"], **more}
        known = {name: value for name, value in settings.items() if value is not None}
        return self.driver.create(RECORD, "www", zoneId=zone, **known)

    def member(self, image: str) -> list[Resource]:
        """A network interface, a volume, a machine that has both, and what attaches the volume."""
        create = self.driver.create
        interface = create(
            NETWORK_INTERFACE,
            "member",
            subnetId=self.subnet_ids[0],
            privateIps=["10.0.0.20"],
            securityGroups=[self.group.identifier],
            description="member",
            tags={"Name": "member"},
        )
        settings = {"size": 10, "type": "gp3", "throughput": 200, "encrypted": True, "tags": {"Name": "member"}}
        volume = create(VOLUME, "member", availabilityZone="us-east-1a", **settings)
        boto3.client("ec2").create_key_pair(KeyName="member")
        machine = create(
            INSTANCE,
            "member",
            ami=image,
            instanceType="t3.small",
            primaryNetworkInterface={"networkInterfaceId": interface.identifier},
            keyName="member",
        )
        attachment = create(
            VOLUME_ATTACHMENT,
            "member",
            deviceName="/dev/sdf",
            volumeId=volume.identifier,
            instanceId=machine.identifier,
            stopInstanceBeforeDetaching=True,
        )
        return [interface, volume, machine, attachment]

    def bucket(self, key: str) -> Resource:
        """With all that is set on one."""
        create = self.driver.create
        bucket = create(BUCKET, "web", bucket="shop-artifacts", tags={"Name": "web"})
        name = {"bucket": bucket.identifier}
        create(BUCKET_PREFIX + "PublicAccessBlock:BucketPublicAccessBlock", "web", blockPublicAcls=True, **name)
        statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": bucket.state["arn"]}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        create(BUCKET_PREFIX + "Policy:BucketPolicy", "web", policy=policy, **name)
        rule = {"objectOwnership": "BucketOwnerEnforced"}
        create(BUCKET_PREFIX + "OwnershipControls:BucketOwnershipControls", "web", rule=rule, **name)
        default = {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": key}
        create(
            BUCKET_PREFIX + "ServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
            "web",
            rules=[{"applyServerSideEncryptionByDefault": default, "bucketKeyEnabled": True}],
            **name,
        )
        enabled = {"status": "Enabled"}
        create(VERSIONING, "web", versioningConfiguration=enabled, **name)
        rule = {
            "id": "backups",
            "status": "Enabled",
            "filter": {"prefix": "backups/"},
            "expiration": {"days": 35},
            "noncurrentVersionExpiration": {"noncurrentDays": 30},
            "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
        }
        create(BUCKET_PREFIX + "LifecycleConfiguration:BucketLifecycleConfiguration", "web", rules=[rule], **name)
        return bucket

    def everything(self) -> list[Resource]:
        create, vpc = self.driver.create, self.vpc.identifier
        gateway = create(INTERNET_GATEWAY, "igw", vpcId=vpc)
        address = create(EIP, "nat", domain="vpc")
        create(NAT_GATEWAY, "nat", allocationId=address.identifier, subnetId=self.subnet_ids[0])
        table = create(ROUTE_TABLE, "public", vpcId=vpc, tags={"Name": "public"})
        create(
            ROUTE,
            "out",
            routeTableId=table.identifier,
            destinationCidrBlock="0.0.0.0/0",
            gatewayId=gateway.identifier,
        )
        create(ASSOCIATION, "a", routeTableId=table.identifier, subnetId=self.subnet_ids[0])
        create(DEFAULT_SECURITY_GROUP, "default", vpcId=vpc, tags={"Name": "closed"})
        create(
            VPC_ENDPOINT, "s3", vpcId=vpc, serviceName="com.amazonaws.us-east-1.s3", routeTableIds=[table.identifier]
        )
        create(
            VPC_ENDPOINT,
            "ssm",
            vpcId=vpc,
            serviceName="com.amazonaws.us-east-1.ssm",
            vpcEndpointType="Interface",
            subnetIds=self.subnet_ids[:1],
            securityGroupIds=[self.group.identifier],
            privateDnsEnabled=True,
        )
        create(EGRESS_ONLY_GATEWAY, "eigw", vpcId=vpc)
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "vpc-flow-logs.amazonaws.com"}}
        role = create(ROLE, "flow", assumeRolePolicy=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
        write = {"Effect": "Allow", "Action": "logs:PutLogEvents", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [write]})
        create(ROLE_POLICY, "flow", role=role.identifier, policy=policy)
        logs = create(LOG_GROUP, "flow", retentionInDays=14, tags={"Name": "flow"})
        create(
            FLOW_LOG,
            "flow",
            vpcId=vpc,
            trafficType="ALL",
            logDestination=logs.state["arn"],
            iamRoleArn=role.state["arn"],
        )
        image = boto3.client("ec2").register_image(Name="base", RootDeviceName="/dev/xvda")["ImageId"]
        create(
            INSTANCE,
            "nat",
            ami=image,
            instanceType="t4g.nano",
            subnetId=self.subnet_ids[0],
            vpcSecurityGroupIds=[self.group.identifier],
            sourceDestCheck=False,
            userData="#!/bin/sh",
            userDataReplaceOnChange=True,
            metadataOptions={"httpEndpoint": "enabled", "httpTokens": "required"},
            rootBlockDevice={"encrypted": True, "volumeType": "gp3", "volumeSize": 8},
        )
        self.member(image)
        rule = {"securityGroupId": self.group.identifier, "cidrIpv4": "0.0.0.0/0", "description": "all"}
        create(INGRESS_RULE, "in", ipProtocol="tcp", fromPort=80, toPort=80, **rule)
        create(EGRESS_RULE, "out", ipProtocol="-1", **rule)
        balancer = self.load_balancer(dropInvalidHeaderFields=True, tags={"Name": "web"})
        target_group = self.target_group(tags={"Name": "web"})
        self.listener(balancer, target_group)
        secure = self.secure_listener(balancer)
        self.rule(secure, target_group, tags={"Name": "api"})
        create(LISTENER_CERTIFICATE, "api", listenerArn=secure.identifier, certificateArn=certificate("api.example"))
        template = self.launch_template()
        group = create(GROUP, "web", **self.group_inputs(template, target_group))
        metric = {"predefinedMetricType": "ASGAverageCPUUtilization"}
        create(
            POLICY,
            "web",
            autoscalingGroupName=group.identifier,
            policyType="TargetTrackingScaling",
            targetTrackingConfiguration={"predefinedMetricSpecification": metric, "targetValue": 60},
        )
        create(
            POLICY,
            "queue",
            autoscalingGroupName=group.identifier,
            policyType="StepScaling",
            adjustmentType="ChangeInCapacity",
            metricAggregationType="Average",
            stepAdjustments=[
                {"metricIntervalLowerBound": "0", "metricIntervalUpperBound": "50", "scalingAdjustment": 1},
                {"metricIntervalLowerBound": "50", "scalingAdjustment": 3},
            ],
        )
        create(
            SCHEDULE,
            "morning",
            autoscalingGroupName=group.identifier,
            scheduledActionName="morning",
            recurrence="0 8 * * mon-fri",
            timeZone="Europe/Berlin",
            minSize=2,
            maxSize=-1,
            desiredCapacity=-1,
        )
        self.alarm(tags={"Name": "web"})
        create(DASHBOARD, "web", dashboardName="shop-dev-web", dashboardBody='{"widgets": []}')
        self.parameter(tags={"Name": "web"})
        issued = self.certificate(tags={"Name": "web"})
        create(VALIDATION, "web", certificateArn=issued.identifier)
        zone = hosted_zone("shop.example")
        self.record(zone)
        alias = {"name": balancer.state["dnsName"], "zoneId": balancer.state["zoneId"], "evaluateTargetHealth": True}
        create(RECORD, "web", zoneId=zone, name="shop.example", type="A", aliases=[alias])
        create(WEB_ACL_ASSOCIATION, "web", webAclArn=web_acl("web"), resourceArn=balancer.identifier)
        create(INSTANCE_PROFILE, "web", role=role.identifier, tags={"Name": "web"})
        managed = create(MANAGED_POLICY, "deploy", policy=policy, tags={"Name": "deploy"})
        create(ATTACHMENT, "deploy", role=role.identifier, policyArn=managed.state["arn"])
        create(OIDC_PROVIDER, "ci", url="https://tokens.example.com", clientIdLists=["sts.amazonaws.com"])
        key = create(KEY, "web", enableKeyRotation=True, description="Volumes", tags={"Name": "web"})
        scaler = "arn:aws:iam::123456789012:role/scaler"
        create(GRANT, "web", keyId=key.state["arn"], granteePrincipal=scaler, operations=["Decrypt", "CreateGrant"])
        create(ALIAS, "web", name="alias/shop/web", targetKeyId=key.identifier)
        self.bucket(key.state["arn"])
        return self.driver.made
