"""A release goes from one environment to the next: the very image that was proven there, never a rebuild."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bluegreen.errors import BluegreenError, ImageError, RolloutError
from bluegreen.events import PromotionPlanned
from bluegreen.images import promotion as images
from bluegreen.model.drift import Drift, drift
from bluegreen.model.record import Deployment, deployments
from bluegreen.model.release import Release
from bluegreen.model.revocation import why_revoked
from bluegreen.model.settings import NAMESPACE
from bluegreen.model.stack_name import short
from bluegreen.stack import SECRET, Stack
from bluegreen.stop import Stop


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """What goes from `source` to `target`: the release that `source` runs.

    `proof`: the deployment whose ledger entry says that it is healthy; None where none does. `drift`: how the settings
    of the two differ. `transfer`: what has to happen to the image. `dangers`: what refuses it, unless it is forced.
    """

    source: Stack
    target: Stack
    release: Release
    proof: Deployment | None
    content_digest: str
    drift: tuple[Drift, ...]
    transfer: images.Transfer
    dangers: tuple[BluegreenError, ...] = ()

    @property
    def image(self) -> str:
        """The image that the target is to launch, as far as it is known: a copy has its id once it is made."""
        return self.transfer.known_copy or self.transfer.facts.image

    @property
    def evidence(self) -> dict[str, Any]:
        """For the target's ledger."""
        run = self.proof.run if self.proof else ""
        return {"promotedFrom": {"stack": short(self.source.name), "image": self.release.image, "run": run}}

    @property
    def told(self) -> PromotionPlanned:
        it = self.transfer.facts
        return PromotionPlanned(
            stack=self.target.name,
            source=self.source.name,
            release=self.release.version,
            image=self.release.image,
            content_digest=self.content_digest,
            commit=it.commit,
            version=it.version,
            run=self.proof.run if self.proof else "",
            steps=self.transfer.steps,
            drift=tuple(self._shown(each) for each in self.drift),
        )

    def _shown(self, each: Drift) -> dict[str, Any]:
        is_secret = f"{NAMESPACE}:{each.key}" in self.source.secrets | self.target.secrets
        source, target = (SECRET, SECRET) if is_secret else (each.source, each.target)
        return {"key": each.key, "source": source, "target": target, "isOfRelease": each.is_of_the_release}


def look_ahead(source: Stack, target: Stack) -> Promotion:
    """Reads only.

    Raises RolloutError where nothing is deployed in `source`, ImageError where its image can't go where it is to go or
    was revoked, AwsError, LedgerError.
    """
    if short(source.name) == short(target.name):
        raise RolloutError(f"{target.name} can't be promoted to itself", "`--from` names the environment before it.")
    if source.fleet is None:
        raise RolloutError(
            f"nothing is deployed in {source.name}, so there is nothing to promote from it",
            f"`bluegreen deploy {source.name}` first, and let it be proven there.",
        )
    release = source.fleet.active.release
    proof = _proof(source, release)
    content_digest = proof.content_digest if proof else ""
    transfer = images.look(source.session, target.session, release.image, content_digest=content_digest)
    content_digest = content_digest or transfer.facts.content_digest
    for stack in (source, target):
        if why := why_revoked(stack.history, release.image, content_digest):
            what = f"{release.image}, which {source.name} runs, was {why}"
            raise ImageError(what, "Promote another. Nothing was changed.")
    return Promotion(
        source=source,
        target=target,
        release=release,
        proof=proof,
        content_digest=content_digest,
        drift=drift(source.deployed_settings, target.settings),
        transfer=transfer,
        dangers=tuple(_dangers(source, release)),
    )


def carry_out(promotion: Promotion, stop: Stop) -> str:
    """Share and copy the image where that has to be; the image that the target launches. Raises ImageError, AwsError,
    Interrupted once it is told to stop: AWS goes on with a copy that was begun."""
    target = promotion.target
    if not promotion.transfer.copies and not promotion.transfer.known_copy:
        return promotion.image
    made = images.carry_out(
        promotion.transfer,
        promotion.source.session,
        target.session,
        kms_key_id=target.settings.image_kms_key,
        on_line=target.say,
        sleep=stop.sleep,
    )
    return made.image


def _proof(source: Stack, release: Release) -> Deployment | None:
    """The last deployment that brought it in; what was learnt of its image is in it."""
    found = [each for each in deployments(source.history, short(source.name)) if each.release == release.version]
    return found[-1] if found else None


def _dangers(source: Stack, release: Release) -> list[BluegreenError]:
    seen = source.history.seen().get(release.version)
    doubt = seen.doubt if seen else "its ledger does not know it"
    way = f"Let it be proven in {source.name}, or say `--force`. Nothing was changed."
    found: list[BluegreenError] = []
    if doubt:
        found.append(RolloutError(f"release {release.version} was not seen healthy in {source.name}: {doubt}", way))
    serving = source.serving()
    if serving and set(serving) != {release.version}:
        shares = ", ".join(f"{version} {share} %" for version, share in serving.items())
        found.append(
            RolloutError(f"{source.name} does not run release {release.version} alone: its traffic is {shares}", way)
        )
    return found
