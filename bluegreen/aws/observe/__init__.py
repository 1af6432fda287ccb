"""boto3 reads -> observations. Every method is one question; none changes anything.

Methods block: from a program's event loop they are called in a thread. Each module has the questions about one kind of
thing; `Observer` has them all, and a check says by a protocol of its own which of them it asks.
"""

from __future__ import annotations

from bluegreen.aws.observe.balancers import Balancers
from bluegreen.aws.observe.domains import Domains
from bluegreen.aws.observe.groups import Groups
from bluegreen.aws.observe.machines import Machines
from bluegreen.aws.observe.metrics import Metrics
from bluegreen.aws.observe.networks import Networks
from bluegreen.aws.observe.storage import Storage
from bluegreen.aws.session import in_our_words


class Observer(Groups, Balancers, Metrics, Networks, Machines, Storage, Domains):
    """Asks AWS. Raises AwsError where it can't be asked."""

    @in_our_words
    def account(self) -> str:
        """The caller's. One call."""
        return str(self._session.client("sts").get_caller_identity()["Account"])
