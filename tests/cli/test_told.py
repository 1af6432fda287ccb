"""What a person is told of a plan and of a stack: nothing that matters is left out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from bluegreen.cli.told import plan_in_words, status_in_words
from bluegreen.model.cost import Cost, CostLine
from bluegreen.model.launchable import Finding, Standing, Subject
from bluegreen.model.prices import AS_OF
from bluegreen.plan import Plan, PlannedResources, PlannedStep, PlannedSubnet
from bluegreen.status import GroupStatus, Status

STEP = PlannedStep(
    name="10 % of the traffic",
    weights={"5e0ec4aa": 90, "3a14e965": 10},
    roles={"5e0ec4aa": "active", "3a14e965": "candidate"},
    watch_seconds=60,
    needs_promotion=True,
)
PLAN = Plan(
    stack="prod",
    verb="deploy",
    release="3a14e965",
    image="ami-2",
    active="5e0ec4aa",
    steps=(STEP,),
    differences=(),
    machines_now=4,
    machines_at_peak=8,
    consul_now=0,
    consul_at_peak=0,
    addresses=1000,
    subnets=(
        PlannedSubnet(kind="public", zone="us-east-1a", cidr="10.0.0.0/24", free=249),
        PlannedSubnet(kind="private", zone="us-east-1a", cidr="10.0.1.0/24", free=247),
    ),
    cost=Cost((CostLine("m5.large", 4, 0.096), CostLine("NAT gateway", 1, 0.045))),
    cost_at_peak=Cost((CostLine("m5.large", 8, 0.096), CostLine("p9.large", 1, None))),
    findings=(Finding(Subject.QUOTA, Standing.BROKEN, "8 vCPUs, and 4 are left", "Ask for more."),),
    refusals=("prod takes no new release now\n  Wait.",),
    watch_seconds=60,
    kept_seconds=0,
    seconds=150.0,
    resources=PlannedResources(create=20, update=3, delete=18, same=41),
)
ACTIVE = GroupStatus(
    release="5e0ec4aa",
    image="ami-1",
    role="active",
    wanted_weight=100,
    weight=100,
    desired=4,
    healthy=3,
    machines=4,
)
STATUS = Status(
    stack="prod",
    is_deployed=True,
    url="http://web",
    preview_url="http://web:9000",
    groups=(ACTIVE,),
    stray=(),
    serving={"5e0ec4aa": 100},
    is_rollout_open=False,
    disagreement="",
    holder="",
    last="",
    last_at=None,
    outputs={},
)


def test_consul_s_servers_are_told_where_there_are_any() -> None:
    assert "Consul" not in plan_in_words(PLAN)
    told = plan_in_words(replace(PLAN, consul_now=3, consul_at_peak=4))
    assert "            of them Consul's servers: 3 now, 4 at the peak" in told.splitlines()


def test_a_plan_tells_steps_machines_cost_time_what_is_missing_and_what_refuses_it() -> None:
    assert plan_in_words(PLAN).splitlines() == [
        "prod: deploy of release 3a14e965 (ami-2); release 5e0ec4aa is active",
        "  step 1 of 1: 10 % of the traffic (active 5e0ec4aa 90 %, candidate 3a14e965 10 %); then watched for 1:00; "
        "then it waits for `bluegreen promote`",
        "  resources: 62 now, 82 at the peak, 64 afterwards; 20 to create, 3 to update, 18 to delete",
        "  machines: 4 now, 8 at the peak; the subnets have room for 1000",
        "  subnets in us-east-1a: public 10.0.0.0/24, 249 free; private 10.0.1.0/24, 247 free",
        f"  cost: $ 0.43 an hour (313 a month), 0.77 at the peak, as of {AS_OF} in us-east-1",
        "        4 x m5.large 0.384, 1 x NAT gateway 0.045",
        "        without what goes by use: traffic, logs, disks",
        "        without p9.large: the table of prices lacks it",
        "  watched for 1:00 in all",
        "  the last ones took about 2:30",
        "  broken     quota: 8 vCPUs, and 4 are left",
        "             Ask for more.",
        "  refused: prod takes no new release now",
        "    Wait.",
        "Nothing was changed.",
    ]


def test_what_is_warm_is_told_beside_the_machines() -> None:
    said = plan_in_words(replace(PLAN, warm_now=2, warm_at_peak=6))
    assert "  machines: 4 now, 8 at the peak; warm: 2 now, 6 at the peak; the subnets have room for 1000" in said
    assert "3 of 4 healthy, 2 warm" in status_in_words(replace(STATUS, groups=(replace(ACTIVE, warm=2),)))


def test_a_plan_of_several_steps_counts_the_resources_of_the_first() -> None:
    said = plan_in_words(replace(PLAN, steps=(STEP, STEP), resources=PlannedResources(update=2, same=60)))
    assert "  resources: 62 now, 62 after step 1; 2 to update" in said


def test_where_a_launch_would_fail_the_resources_are_not_known() -> None:
    said = plan_in_words(replace(PLAN, resources=None, refusals=()))
    assert "  resources: not known while something is broken" in said
    assert "resources" not in plan_in_words(replace(PLAN, resources=None)), "the refusal says why"


def test_a_plan_of_what_runs_says_that_no_release_changes() -> None:
    said = plan_in_words(replace(PLAN, steps=(), findings=(), refusals=()))
    assert "no release changes" in said


def test_a_stack_that_is_as_declared_is_told_in_two_lines() -> None:
    assert status_in_words(STATUS).splitlines() == [
        "prod: http://web",
        "  active     5e0ec4aa  100 %  3 of 4 healthy      ami-1",
    ]


def test_what_is_not_as_declared_is_said_with_what_to_do() -> None:
    odd = replace(
        STATUS,
        groups=(replace(ACTIVE, weight=50),),
        stray=("3a14e965",),
        is_rollout_open=True,
        disagreement="the ledger says one thing, and the state another",
        holder="ann on ci-7",
        last="deploy of release 5e0ec4aa by ann: done",
        last_at=datetime(2026, 11, 25, 12, tzinfo=UTC),
    )
    said = status_in_words(odd)
    for words in (
        "50 % (declared: 100 %)",
        "`bluegreen promote prod` or `bluegreen abort prod`",
        "left by an update that failed: 3a14e965",
        "the load balancer does not do what was declared",
        "the ledger says one thing, and the state another",
        "under way: ann on ci-7",
        "last: 2026-11-25 12:00:00  deploy of release 5e0ec4aa by ann: done",
    ):
        assert words in said


def test_a_stack_that_was_never_deployed_says_how() -> None:
    assert status_in_words(replace(STATUS, is_deployed=False)) == (
        "prod: nothing is deployed; `bluegreen deploy prod` does"
    )
