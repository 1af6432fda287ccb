"""Whether ledger and state say the same of who has the traffic; and where not, who is right. Pure.

The state's outputs come at the end of an update, the ledger is written as the listener changes: one of them may be
behind. A ledger may also be another one, or have been lost. The load balancer has the last word.
"""

from __future__ import annotations

from collections.abc import Mapping

from bluegreen.model.fleet import Fleet
from bluegreen.model.history import History, Kind
from bluegreen.model.verdict import Hopeless, Ready, Wait

OTHER_LEDGER = "Look whether `ledger` in the config is the one that deploys of this stack write to (docs/ledger.md)."


def told_by(history: History) -> dict[str, int] | None:
    """Percent of the traffic by version, as the last change of the listener that the ledger knows; None where none."""
    for event in reversed(history.events):
        if event.kind is Kind.DESTROYED:
            return None
        if event.kind is Kind.CUTOVER:
            return {version: weight for version, weight in event.evidence.get("weights", {}).items() if weight}
    return None


def judge(history: History, fleet: Fleet, serving: Mapping[str, int] | None) -> Ready | Wait | Hopeless:
    """Ready where both agree. Wait where one is behind, which going on mends. Hopeless where the load balancer bears
    neither out.

    `serving`: percent by version as the load balancer says; None where it was not asked or can't be.
    """
    state = {group.release.version: group.weight for group in fleet.groups if group.weight}
    ledger = told_by(history)
    if ledger is None:
        return Wait(
            f"the ledger knows no deployment of this stack, and the state says that {_shares(state)}. {OTHER_LEDGER}"
        )
    if ledger == state:
        return Ready("ledger and state agree")
    both = f"the ledger says that {_shares(ledger)}, and the state that {_shares(state)}"
    if serving is None or serving == ledger:
        return Wait(f"{both}: the state is behind, an update has not ended. `bluegreen deploy` goes on from there")
    if serving == state:
        return Wait(f"{both}, as the load balancer does: the ledger is behind. {OTHER_LEDGER}")
    return Hopeless(
        f"{both}; the load balancer does neither: {_shares(serving)}",
        "Somebody else has changed the listener. `pulumi refresh` brings the state to what is there, `bluegreen "
        "rollback --to VERSION` the traffic to a release; `--force` passes.",
    )


def _shares(shares: Mapping[str, int]) -> str:
    if not shares:
        return "nobody has traffic"
    if len(shares) == 1:
        return f"release {next(iter(shares))} has all traffic"
    return ", ".join(f"release {version} has {share} %" for version, share in shares.items())
