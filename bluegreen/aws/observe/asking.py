"""Who asks: what every set of questions has in common."""

from __future__ import annotations

from bluegreen.aws.session import Session


class Asking:
    """Asks AWS. Raises AwsError where it can't be asked."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def region(self) -> str:
        return self._session.region
