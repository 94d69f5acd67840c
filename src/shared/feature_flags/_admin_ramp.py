"""What people do to a rollout in steps."""

from collections.abc import Callable, Mapping
from typing import Any

from shared.errors import InvalidStateError
from shared.feature_flags._admin_write import AdminWrites
from shared.feature_flags._model import Flag, FlagDocument
from shared.feature_flags._plan import Ramp, RampState, RolloutPlan
from shared.feature_flags._store import FlagChanges

__all__ = ["RampVerbs"]


class RampVerbs(AdminWrites):
    """The verbs of :class:`FlagAdmin` about plans."""

    def ramp(
        self,
        key: str,
        plan: RolloutPlan | Mapping[str, Any],
        *,
        actor: str,
        reason: str = "",
        expected: int | None = None,
    ) -> int:
        """Begin a rollout in steps, in place of one under way; a :class:`RolloutController` takes the steps.

        Args:
            key: Of a flag with a variant ``on``.
            plan: The steps and guardrails.
            actor: Who begins it.
            reason: Why.
            expected: The revision that was looked at.

        Raises:
            FlagDocumentError: The plan contradicts itself, or the flag has no variant ``on``.
            InvalidStateError: The flag has more than the first step of the plan already.
            ResourceNotFoundError: Nobody knows the flag.
        """
        given = RolloutPlan.from_dict(plan)

        def change(document: FlagDocument) -> FlagChanges:
            flag = self._found(key, document)
            present = flag.rollout or 0.0
            if given.steps[0].percent <= present and present > 0:
                msg = (
                    f"flag {key!r} has {present:g} % already and the plan begins with "
                    f"{given.steps[0].percent:g} %: leave out the steps it has taken"
                )
                raise InvalidStateError(msg)
            state = RampState(percent=present, base=present, since=self._target.now(), reason=reason[:1000])
            ramp = Ramp(plan=given, state=state)
            return FlagChanges({key: flag.evolve(rollout=present, ramp=ramp)})

        return self._write(change, actor=actor, reason=reason, expected=expected)

    def pause(self, key: str, *, actor: str, reason: str = "") -> int:
        """Let a rollout stand where it is.

        Raises:
            InvalidStateError: None is under way.
        """

        def change(flag: Flag, ramp: Ramp) -> Flag:
            if not ramp.state.is_active:
                raise _not_so(key, ramp, "under way")
            state = ramp.state.moved(status="paused", since=self._target.now(), reason=reason[:1000])
            return flag.evolve(ramp=Ramp(plan=ramp.plan, state=state))

        return self._change_ramp(key, change, actor=actor, reason=reason)

    def resume(self, key: str, *, actor: str, reason: str = "") -> int:
        """Go on with a paused rollout; what the guardrails saw before is forgotten.

        Raises:
            InvalidStateError: None is paused, or the cooldown of its plan is not over.
        """

        def change(flag: Flag, ramp: Ramp) -> Flag:
            now = self._target.now()
            if ramp.state.status != "paused":
                raise _not_so(key, ramp, "paused")
            if now < ramp.state.not_before:
                msg = f"the rollout of flag {key!r} may go on in {ramp.state.not_before - now:.0f} s"
                raise InvalidStateError(msg)
            at_end = ramp.state.step == len(ramp.plan.steps) - 1
            state = ramp.state.moved(
                status="baking" if at_end else "running", since=now, reason=reason[:1000]
            )
            return flag.evolve(ramp=Ramp(plan=ramp.plan, state=state))

        return self._change_ramp(key, change, actor=actor, reason=reason)

    def stop(self, key: str, *, actor: str, reason: str = "") -> int:
        """Forget the plan; the percentage stays as it is.

        Raises:
            InvalidStateError: The flag has none.
        """
        return self._change_ramp(key, lambda flag, _: flag.evolve(ramp=None), actor=actor, reason=reason)

    def _change_ramp(self, key: str, change: Callable[[Flag, Ramp], Flag], *, actor: str, reason: str) -> int:
        def changes(document: FlagDocument) -> FlagChanges:
            flag = self._found(key, document)
            if flag.ramp is None:
                msg = f"flag {key!r} has no rollout plan"
                raise InvalidStateError(msg)
            return FlagChanges({key: change(flag, flag.ramp)})

        return self._write(changes, actor=actor, reason=reason)


def _not_so(key: str, ramp: Ramp, wanted: str) -> InvalidStateError:
    msg = f"the rollout of flag {key!r} is {ramp.state.status.replace('_', ' ')}, not {wanted}"
    return InvalidStateError(msg)
