"""Every adversary by its name."""

from scripts.adversaries.forging import Copycat, FreeRider, Garbage
from scripts.adversaries.judging import FalseAccuserSession, SilentJurorSession
from scripts.adversaries.learners import Booster, Lazy, LyingLearner
from scripts.adversaries.merging import LyingRun, WithheldModelRun, WrongMergeRun
from scripts.adversaries.publishing import LyingNormSession, WithheldUpdateSession
from scripts.adversaries.retouching import Backdoor, Poisoner
from scripts.adversaries.sessions import LyingSession
from scripts.adversaries.training import learning_session
from scripts.verdicts import Conduct

AGGREGATORS: dict[str, type[LyingRun]] = {
    "wrong-merge": WrongMergeRun,
    "withheld-model": WithheldModelRun,
}
PUBLISHERS: dict[str, type[LyingSession]] = {
    "lying-norm": LyingNormSession,
    "withheld-update": WithheldUpdateSession,
}
LEARNERS: dict[str, type[LyingLearner]] = {
    "free-rider": FreeRider,
    "copycat": Copycat,
    "poisoner": Poisoner,
    "booster": Booster,
    "nan": Garbage,
    "lazy": Lazy,
    "backdoor": Backdoor,
}
OFFICERS: dict[str, type[LyingSession]] = {
    "false-accuser": FalseAccuserSession,
    "silent-juror": SilentJurorSession,
}
TRAINERS: dict[str, type[LyingSession]] = {
    **PUBLISHERS,
    **{name: learning_session(kind) for name, kind in LEARNERS.items()},
    **OFFICERS,
}
ADVERSARIES = (*AGGREGATORS, *TRAINERS)
AGAINST_TRAINING = (*LEARNERS, *OFFICERS)
"""Those that the training court and its screens are for; the others are the merge court's."""
COMPANIONS = {"silent-juror": "lazy"}
"""Who must cheat beside it, so that there is a jury to be silent in."""


def conduct_of(name: str) -> Conduct:
    """By what an adversary cheats."""
    if name in AGGREGATORS:
        return Conduct.PROPOSES
    special = {"false-accuser": Conduct.ACCUSES, "silent-juror": Conduct.IDLES}
    return special.get(name, Conduct.TRAINS)
