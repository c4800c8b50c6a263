"""Every adversary by its name."""

from scripts.adversaries.forging import Copycat, FreeRider, Garbage
from scripts.adversaries.learners import Booster, Lazy, LyingLearner
from scripts.adversaries.merging import LyingRun, WithheldModelRun, WrongMergeRun
from scripts.adversaries.publishing import LyingNormSession, WithheldUpdateSession
from scripts.adversaries.retouching import Backdoor, Poisoner
from scripts.adversaries.sessions import LyingSession, learning_session

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
TRAINERS: dict[str, type[LyingSession]] = {
    **PUBLISHERS,
    **{name: learning_session(kind) for name, kind in LEARNERS.items()},
}
ADVERSARIES = (*AGGREGATORS, *TRAINERS)
