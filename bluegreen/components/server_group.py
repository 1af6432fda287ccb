"""A server group: target group, launch template, Auto Scaling group and policies of one release.

Everything is named by the release's version and nothing is ever replaced: another release is another server group.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from bluegreen.components.hooks import Hooks
from bluegreen.model.alarms import CAPACITY_METRIC, GROUPS, PERIOD_SECONDS, Query, alarms_of
from bluegreen.model.fleet import ServerGroupPlan
from bluegreen.model.launch_options import hooks_in, longest_farewell, maintenance_in, rendered, volumes_in
from bluegreen.model.mixed_instances import MixedInstances, mixed_in
from bluegreen.model.scaling import Scaling, Step, Unit
from bluegreen.model.settings import AlarmSettings
from bluegreen.model.tags import PORT, RELEASE, SERVER_GROUP
from bluegreen.model.warm_pool import WarmPool

UNCHANGED = -1
"""The provider's word for a size that a scheduled action leaves alone."""
DELETE_SECONDS_BESIDES_DRAIN = 900
"""The provider waits that long for machines to end, after they have drained."""


@dataclass(frozen=True, kw_only=True)
class ServerGroupArgs:
    """What to make. `desired` is the number of machines to start with; scaling has it from then on."""

    plan: ServerGroupPlan
    desired: int
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]
    grace_seconds: int
    region: str
    instance_profile: pulumi.Input[str] | None  # by name
    volume_key: pulumi.Input[str] | None = None  # ARN, of volumes that name no other
    hooks: Hooks
    warm_pool: WarmPool | None = None
    counts_machines: bool = False  # whether the group reports how many it has
    after: Sequence[pulumi.Resource] = ()  # what the first resource of the group waits for
    tags: Mapping[str, str] = field(default_factory=dict)


class ServerGroup(pulumi.ComponentResource):
    """One release's machines, made in three steps, between which the service does its part:

    at once, launch template and target group; with `launch`, once a listener names the target group, the machines
    (before that nobody checks their health); with `scale` and `alarm`, once the traffic is on them, the policies (an
    idle candidate would shrink) and the alarms.
    """

    target_group: aws.lb.TargetGroup
    group: aws.autoscaling.Group

    def __init__(self, args: ServerGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        self._release = args.plan.release
        super().__init__("bluegreen:index:ServerGroup", self._release.name, None, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)

        # First, so that a wrong image stops the rest of the group from being made.
        self._template = self._launch_template()
        self.target_group = self._make_target_group()

    def launch(self, after: Sequence[pulumi.Resource]) -> None:
        """Start the machines, once `after` is there."""
        args, capacity, launch = self._args, self._args.plan.capacity, self._release.launch
        hooks, maintenance = hooks_in(launch.lifecycle_hooks), maintenance_in(launch.maintenance)
        mixed = mixed_in(launch.mixed_instances)
        farewell = self._release.target.drain_seconds + longest_farewell(hooks)
        patience = f"{farewell + DELETE_SECONDS_BESIDES_DRAIN}s"
        self.group = aws.autoscaling.Group(
            self._release.name,
            min_size=capacity.minimum,
            max_size=capacity.maximum,
            desired_capacity=args.desired,
            vpc_zone_identifiers=list(args.subnet_ids),
            # Named here and not by an attachment of its own: that would lose draining when the group goes.
            target_group_arns=[self.target_group.arn],
            launch_template=aws.autoscaling.GroupLaunchTemplateArgs(
                id=self._template.id, version=self._template.latest_version.apply(str)
            )
            if mixed is None
            else None,
            mixed_instances_policy=self._mix(mixed) if mixed else None,
            capacity_rebalance=mixed.capacity_rebalance if mixed and mixed.has_spot else None,
            health_check_type="ELB",
            # As long as the gate waits, so that the group does not destroy the evidence.
            health_check_grace_period=args.grace_seconds,
            # The gate waits instead: the provider counts unregistered targets as healthy, and a wait of its own that
            # times out has left groups outside the state.
            wait_for_capacity_timeout="0",
            instance_maintenance_policy=aws.autoscaling.GroupInstanceMaintenancePolicyArgs(
                min_healthy_percentage=maintenance.min_healthy_percentage,
                max_healthy_percentage=maintenance.max_healthy_percentage,
            )
            if maintenance
            else None,
            # At creation, so that the first machines wait too.
            initial_lifecycle_hooks=[
                aws.autoscaling.GroupInitialLifecycleHookArgs(
                    name=hook.name,
                    lifecycle_transition=f"autoscaling:EC2_INSTANCE_{hook.transition.upper()}",
                    heartbeat_timeout=hook.heartbeat_seconds,
                    default_result=hook.default_result.upper(),
                )
                for hook in hooks
            ]
            or None,
            warm_pool=self._pool(args.warm_pool) if args.warm_pool else None,
            # Nobody waits for machines without traffic to end.
            force_delete_warm_pool=True if args.warm_pool else None,
            enabled_metrics=[aws.autoscaling.Metric(CAPACITY_METRIC)] if args.counts_machines else None,
            tags=[
                aws.autoscaling.GroupTagArgs(key=key, value=value, propagate_at_launch=True)
                for key, value in sorted(self._tags().items())
            ],
            opts=self._with(
                depends_on=after,
                hooks=args.hooks.guarding_machines(),
                ignore_changes=["desiredCapacity"],
                custom_timeouts=pulumi.CustomTimeouts(update=patience, delete=patience),
            ),
        )

    def _pool(self, pool: WarmPool) -> aws.autoscaling.GroupWarmPoolArgs | None:
        """A standby without machines has none, and what is mixed can have none."""
        if self._args.plan.capacity.is_zero or self._release.launch.mixed_instances:
            return None
        return aws.autoscaling.GroupWarmPoolArgs(
            pool_state=pool.state.value.capitalize(),
            min_size=pool.minimum,
            max_group_prepared_capacity=pool.prepared_maximum,
            # AWS may not tell of one that is off, which would be a difference for ever.
            instance_reuse_policy=aws.autoscaling.GroupWarmPoolInstanceReusePolicyArgs(reuse_on_scale_in=True)
            if pool.reuse
            else None,
        )

    def _mix(self, mixed: MixedInstances) -> aws.autoscaling.GroupMixedInstancesPolicyArgs:
        return aws.autoscaling.GroupMixedInstancesPolicyArgs(
            launch_template=aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateArgs(
                launch_template_specification=(
                    aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateLaunchTemplateSpecificationArgs(
                        launch_template_id=self._template.id, version=self._template.latest_version.apply(str)
                    )
                ),
                overrides=[
                    aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateOverrideArgs(
                        instance_type=each,
                        weighted_capacity=str(mixed.weights[each]) if mixed.weights else None,
                    )
                    for each in (self._release.launch.instance_type, *mixed.types)
                ],
            ),
            instances_distribution=aws.autoscaling.GroupMixedInstancesPolicyInstancesDistributionArgs(
                on_demand_base_capacity=mixed.on_demand_base,
                on_demand_percentage_above_base_capacity=mixed.on_demand_percent,
                spot_allocation_strategy=mixed.spot_strategy.value,
            ),
        )

    def scale(
        self, after: Sequence[pulumi.Resource], balancer: pulumi.Input[str], may_scale_in: bool, settings: Scaling
    ) -> None:
        """Attach the scaling policies, once `after` is there. `balancer`: its metrics' name."""
        if settings.cpu_percent:
            self._track(self._release.name, settings.cpu_percent, may_scale_in, after, "ASGAverageCPUUtilization")
        if settings.requests_per_target:
            name = f"{self._release.name}-requests"
            label = pulumi.Output.concat(balancer, "/", self.target_group.arn_suffix)
            wanted = settings.requests_per_target
            self._track(name, wanted, may_scale_in, after, "ALBRequestCountPerTarget", label)
        for step in settings.steps:
            self._follow(step, may_scale_in, after, balancer)
        for schedule in () if self._args.plan.capacity.is_zero else settings.schedules:
            name = f"{self._release.name}-{schedule.name}"
            aws.autoscaling.Schedule(
                name,
                scheduled_action_name=name,
                autoscaling_group_name=self.group.name,
                recurrence=schedule.recurrence,
                time_zone=schedule.zone,
                min_size=schedule.min_size,
                max_size=UNCHANGED,
                desired_capacity=UNCHANGED,
                opts=self._part(name, after),
            )

    def _track(
        self,
        name: str,
        target: float,
        may_scale_in: bool,
        after: Sequence[pulumi.Resource],
        metric: str,
        label: pulumi.Input[str] | None = None,
    ) -> None:
        aws.autoscaling.Policy(
            name,
            autoscaling_group_name=self.group.name,
            policy_type="TargetTrackingScaling",
            target_tracking_configuration=aws.autoscaling.PolicyTargetTrackingConfigurationArgs(
                predefined_metric_specification=(
                    aws.autoscaling.PolicyTargetTrackingConfigurationPredefinedMetricSpecificationArgs(
                        predefined_metric_type=metric, resource_label=label
                    )
                ),
                target_value=target,
                disable_scale_in=not may_scale_in,
            ),
            name=name,
            opts=self._part(name, after),
        )

    def _follow(
        self, step: Step, may_scale_in: bool, after: Sequence[pulumi.Resource], balancer: pulumi.Input[str]
    ) -> None:
        name = f"{self._release.name}-{step.name}"
        policy = aws.autoscaling.Policy(
            name,
            autoscaling_group_name=self.group.name,
            policy_type="StepScaling",
            adjustment_type="PercentChangeInCapacity" if step.unit is Unit.PERCENT else "ChangeInCapacity",
            metric_aggregation_type="Average",
            step_adjustments=[
                aws.autoscaling.PolicyStepAdjustmentArgs(
                    metric_interval_lower_bound=None if low is None else f"{low:g}",
                    metric_interval_upper_bound=None if high is None else f"{high:g}",
                    scaling_adjustment=by,
                )
                for low, high, by in step.bounds
            ],
            enabled=may_scale_in or not step.shrinks,
            name=name,
            opts=self._part(name, after),
        )
        own = pulumi.Output.all(
            **{
                "{{group}}": self.group.name,
                "{{targetGroup}}": self.target_group.arn_suffix,
                "{{loadBalancer}}": balancer,
            }
        )
        # Not named as the release's own alarms are: a soak has no business with it.
        aws.cloudwatch.MetricAlarm(
            f"scaling-{name}",
            alarm_description=f"Scales {self._release.name} ({step.name})",
            comparison_operator=(
                "GreaterThanOrEqualToThreshold" if step.above is not None else "LessThanOrEqualToThreshold"
            ),
            threshold=step.threshold,
            evaluation_periods=step.minutes,
            namespace=step.namespace,
            metric_name=step.metric,
            dimensions=own.apply(step.dimensions_of) if step.dimensions else None,
            statistic=step.statistic,
            period=PERIOD_SECONDS,
            alarm_actions=[policy.arn],
            tags={**self._tags(), "Name": f"scaling-{name}", SERVER_GROUP: self.group.name},
            opts=self._with(depends_on=after, hooks=self._args.hooks.guarding_part(f"scaling-{name}")),
        )

    def _part(self, name: str, after: Sequence[pulumi.Resource]) -> pulumi.ResourceOptions:
        """Of what AWS takes away with the group. Until then it stays on the group, even where the guard keeps that
        after the part has left the state; and its name lets the next `up` take it over again."""
        return self._with(depends_on=after, deleted_with=self.group, hooks=self._args.hooks.guarding_part(name))

    def alarm(
        self,
        after: Sequence[pulumi.Resource],
        balancer: pulumi.Input[str],
        settings: AlarmSettings,
        actions: Sequence[str] = (),
        *,
        is_alone: bool = True,
        is_network: bool = False,
    ) -> None:
        """Make the release's own alarms, once `after` is there. Ends the component. `balancer`: its metrics' name.
        `actions`: ARNs of what hears of them. `is_alone`: whether the load balancer is the service's alone;
        `is_network`: whether it is a Network Load Balancer."""
        of_balancer = {"LoadBalancer": balancer}
        of_target_group = {**of_balancer, "TargetGroup": self.target_group.arn_suffix}
        of_group = {"AutoScalingGroupName": self.group.name}

        def dimensions(query: Query) -> Mapping[str, pulumi.Input[str]]:
            if query.namespace == GROUPS:
                return of_group
            return of_balancer if query.is_of_balancer else of_target_group

        maximum = self._args.plan.capacity.maximum
        for alarm in alarms_of(settings, maximum, is_alone=is_alone, is_network=is_network):
            name = f"{self._release.name}-{alarm.name}"
            aws.cloudwatch.MetricAlarm(
                name,
                alarm_description=alarm.description,
                comparison_operator="GreaterThanOrEqualToThreshold",
                threshold=alarm.threshold,
                evaluation_periods=alarm.periods,
                datapoints_to_alarm=alarm.periods_to_alarm,
                treat_missing_data="missing",  # no requests: no data, which is not fine
                metric_queries=[_metric_query(query, dimensions(query)) for query in alarm.queries],
                alarm_actions=list(actions) or None,
                ok_actions=list(actions) or None,
                tags={**self._tags(), "Name": name, SERVER_GROUP: self.group.name},
                opts=self._with(depends_on=after, hooks=self._args.hooks.guarding_part(name)),
            )
        self.register_outputs(self.outputs)

    @property
    def outputs(self) -> dict[str, Any]:
        """What other systems may want to know of this group."""
        plan = self._args.plan
        return {
            "release": self._release.version,
            "image": self._release.image,
            "role": plan.role.value,
            "weight": plan.weight,
            "autoScalingGroup": self.group.name,
            "targetGroup": self.target_group.arn,
        }

    def _make_target_group(self) -> aws.lb.TargetGroup:
        target, health = self._release.target, self._release.target.health
        return aws.lb.TargetGroup(
            self._release.name,
            port=target.port,
            protocol=target.protocol,
            protocol_version=target.protocol_version or None,
            target_type=target.target_type,
            load_balancing_algorithm_type=target.algorithm or None,
            vpc_id=self._args.vpc_id,
            deregistration_delay=target.drain_seconds,
            # The machine ends then: its clients are to hear of it, and not to talk to nobody.
            connection_termination=True if target.is_network else None,
            stickiness=aws.lb.TargetGroupStickinessArgs(
                type="lb_cookie", enabled=True, cookie_duration=target.stickiness_seconds
            )
            if target.stickiness_seconds
            else None,
            health_check=aws.lb.TargetGroupHealthCheckArgs(
                # Of a target group for TCP it would be TCP.
                protocol=(health.protocol or "HTTP") if target.is_network else None,
                path=health.path or None,
                interval=health.interval_seconds,
                timeout=health.timeout_seconds,
                healthy_threshold=health.healthy_threshold,
                unhealthy_threshold=health.unhealthy_threshold,
                matcher=health.matcher or None,
            ),
            tags=self._tags(),
            opts=self._with(depends_on=[self._template]),
        )

    def _launch_template(self) -> aws.ec2.LaunchTemplate:
        launch, user_data = self._release.launch, self._user_data()
        return aws.ec2.LaunchTemplate(
            self._release.name,
            image_id=self._release.image,
            instance_type=launch.instance_type,
            key_name=launch.key_pair or None,
            iam_instance_profile=(
                aws.ec2.LaunchTemplateIamInstanceProfileArgs(name=self._args.instance_profile)
                if self._args.instance_profile is not None
                else None
            ),
            user_data=base64.b64encode(user_data.encode()).decode() if user_data else None,
            metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled",
                http_tokens=launch.metadata_tokens,
                http_put_response_hop_limit=launch.metadata_hop_limit,
                instance_metadata_tags="enabled" if launch.has_metadata_tags else "disabled",
            ),
            block_device_mappings=self._devices(),
            vpc_security_group_ids=[self._args.security_group_id],
            # The group's tags reach its instances, and not what hangs on them.
            tag_specifications=[
                aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=self._tags())
                for kind in ("volume", "network-interface")
            ],
            tags=self._tags(),
            opts=self._with(depends_on=self._args.after, hooks=self._args.hooks.checking_image()),
        )

    def _user_data(self) -> str:
        """Raises SettingsError where it is too long once it has its values."""
        launch = self._release.launch
        if not launch.user_data_template:
            return launch.user_data
        values = {
            "project": pulumi.get_project(),
            "stack": pulumi.get_stack(),
            "service": self._release.service,
            "release": self._release.version,
            "region": self._args.region,
            "port": str(self._release.target.port),
        }
        return rendered(launch.user_data_template, values)

    def _devices(self) -> list[aws.ec2.LaunchTemplateBlockDeviceMappingArgs]:
        """The root device first."""
        launch, volumes = self._release.launch, {each.device: each for each in volumes_in(self._release.launch.volumes)}
        root = volumes.pop(launch.root_device, None)
        return [
            aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
                device_name=device,
                ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                    volume_type=volume.type.value if volume else launch.volume_type,
                    volume_size=volume.size_gb if volume else None,
                    iops=volume.iops if volume else None,
                    throughput=volume.throughput if volume else None,
                    kms_key_id=volume.kms_key if volume and volume.kms_key else self._args.volume_key,
                    encrypted=_text(launch.is_volume_encrypted),
                    delete_on_termination="true",
                ),
            )
            for device, volume in [(launch.root_device, root), *volumes.items()]
        ]

    def _tags(self) -> dict[str, str]:
        return {
            **self._args.tags,
            "Name": self._release.name,
            RELEASE: self._release.version,
            PORT: str(self._release.target.port),
        }

    def _with(self, **options: Any) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(**options))


def _metric_query(
    query: Query, dimensions: Mapping[str, pulumi.Input[str]]
) -> aws.cloudwatch.MetricAlarmMetricQueryArgs:
    if query.expression:
        return aws.cloudwatch.MetricAlarmMetricQueryArgs(
            id=query.id, expression=query.expression, label=query.label, return_data=True
        )
    return aws.cloudwatch.MetricAlarmMetricQueryArgs(
        id=query.id,
        metric=aws.cloudwatch.MetricAlarmMetricQueryMetricArgs(
            namespace=query.namespace,
            metric_name=query.metric,
            period=PERIOD_SECONDS,
            stat=query.statistic,
            dimensions=dimensions,
        ),
        return_data=query.is_returned,
    )


def _text(flag: bool) -> str:
    """The launch template's booleans are text in the provider's schema."""
    return "true" if flag else "false"
