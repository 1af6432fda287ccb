"""Plans and states in words, for a person. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bluegreen.model.prices import AS_OF, HOURS_OF_A_MONTH, REGION
from bluegreen.report.wording import duration, spread

if TYPE_CHECKING:
    from bluegreen.model.cost import Cost
    from bluegreen.model.launchable import Finding
    from bluegreen.plan import Plan, PlannedResources
    from bluegreen.status import GroupStatus, Status


def plan_in_words(plan: Plan) -> str:
    return "\n".join(_of_plan(plan))


def _of_plan(plan: Plan) -> Iterator[str]:
    now = f"; release {plan.active} is active" if plan.active else "; nothing is deployed yet"
    yield f"{plan.stack}: {plan.verb} of release {plan.release} ({plan.image}){now}"
    if not plan.steps:
        yield "  no release changes; what else differs in the config is brought about by one `pulumi up`"
    for number, step in enumerate(plan.steps, 1):
        watched = f"; then watched for {duration(step.watch_seconds)}" if step.watch_seconds else ""
        waits = "; then it waits for `bluegreen promote`" if step.needs_promotion else ""
        yield f"  step {number} of {len(plan.steps)}: {step.name} ({spread(step.weights, step.roles)}){watched}{waits}"
    if plan.resources:
        yield resources_in_words(plan.resources, len(plan.steps))
    elif not plan.refusals:
        yield "  resources: not known while something is broken"
    warm = f"; warm: {plan.warm_now} now, {plan.warm_at_peak} at the peak" if plan.warm_now or plan.warm_at_peak else ""
    yield (
        f"  machines: {plan.machines_now} now, {plan.machines_at_peak} at the peak{warm}; the subnets have room for "
        f"{plan.addresses}"
    )
    if plan.consul_at_peak:
        yield f"            of them Consul's servers: {plan.consul_now} now, {plan.consul_at_peak} at the peak"
    zones = sorted({subnet.zone for subnet in plan.subnets})
    for zone in zones:
        there = [subnet for subnet in plan.subnets if subnet.zone == zone]
        said = (f"{subnet.kind} {subnet.cidr}, {subnet.free} free" for subnet in there)
        yield f"  subnets in {zone}: {'; '.join(said)}"
    yield from cost_in_words(plan.cost, plan.cost_at_peak)
    if plan.watch_seconds:
        yield f"  watched for {duration(plan.watch_seconds)} in all"
    if plan.kept_seconds:
        yield f"  connections stay where they are for {duration(plan.kept_seconds)} at most"
    if plan.seconds is not None:
        yield f"  the last ones took about {duration(plan.seconds)}"
    for finding in plan.findings:
        yield from finding_in_words(finding)
    for refusal in plan.refusals:
        first, *others = refusal.splitlines()
        yield f"  refused: {first}"
        yield from (f"  {line}" for line in others)
    yield "Nothing was changed."


def resources_in_words(resources: PlannedResources, steps: int) -> str:
    """What the first of so many steps does to them."""
    counts = ((name, getattr(resources, name)) for name in ("create", "update", "replace", "delete"))
    done = ", ".join(f"{count} to {name}" for name, count in counts if count) or "none changes"
    when = "after step 1" if steps > 1 else "afterwards"
    peak = f", {resources.at_peak} at the peak" if resources.at_peak > max(resources.now, resources.after) else ""
    return f"  resources: {resources.now} now{peak}, {resources.after} {when}; {done}"


def cost_in_words(cost: Cost, at_peak: Cost) -> Iterator[str]:
    """The price of it all, and what it is made of."""
    peak = f", {at_peak.hourly:.2f} at the peak" if round(at_peak.hourly, 2) != round(cost.hourly, 2) else ""
    month = cost.hourly * HOURS_OF_A_MONTH
    yield f"  cost: $ {cost.hourly:.2f} an hour ({month:.0f} a month){peak}, as of {AS_OF} in {REGION}"
    yield "        " + ", ".join(f"{line.count} x {line.what} {line.hourly:.3f}" for line in cost.lines if line.each)
    yield "        without what goes by use: traffic, logs, disks"
    if unpriced := cost.unpriced or at_peak.unpriced:
        yield f"        without {', '.join(unpriced)}: the table of prices lacks it"


def finding_in_words(finding: Finding) -> list[str]:
    lines = [f"  {finding.state:9}  {finding.subject}: {finding.detail}"]
    return [*lines, f"             {finding.next_step}"] if finding.next_step else lines


def status_in_words(status: Status) -> str:
    return "\n".join(_of_status(status))


def _of_status(status: Status) -> Iterator[str]:
    if not status.is_deployed:
        yield f"{status.stack}: nothing is deployed; `bluegreen deploy {status.stack}` does"
        return
    yield f"{status.stack}: {status.url}"
    for group in status.groups:
        yield _of_group(group)
    if status.is_rollout_open:
        yield f"  a rollout is open: `bluegreen promote {status.stack}` or `bluegreen abort {status.stack}` ends it"
    if status.stray:
        yield f"  left by an update that failed: {', '.join(status.stray)}; the next `bluegreen deploy` takes it away"
    if not status.is_as_declared:
        yield "  the load balancer does not do what was declared: `bluegreen deploy` sets it right"
    if status.disagreement:
        yield f"  {status.disagreement}"
    if status.holder:
        yield f"  under way: {status.holder}"
    if status.last_at:
        yield f"  last: {status.last_at:%Y-%m-%d %H:%M:%S}  {status.last}"


def _of_group(group: GroupStatus) -> str:
    machines = f"{group.desired} wanted" if group.healthy is None else f"{group.healthy} of {group.machines} healthy"
    machines += f", {group.warm} warm" if group.warm else ""
    declared = "" if group.weight == group.wanted_weight else f" (declared: {group.wanted_weight} %)"
    return f"  {group.role:9}  {group.release}  {group.weight:3} %{declared}  {machines:18}  {group.image}"
