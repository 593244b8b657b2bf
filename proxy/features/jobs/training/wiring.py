"""Trainings, wired: what lives as long as a worker, and what each revision of the configuration makes."""

from __future__ import annotations

from typing import NamedTuple

from proxy.feature import House, HouseRevision
from proxy.features.jobs.kept import JobFiles
from proxy.features.jobs.section import JOBS
from proxy.features.jobs.training.bills import TrainingBills
from proxy.features.jobs.training.elsewhere import TrainingsElsewhere
from proxy.features.jobs.training.ending import TrainingEnds
from proxy.features.jobs.training.learning import Learning
from proxy.features.jobs.training.maker import TrainingMaker, TrainingMeans
from proxy.features.jobs.training.trainers import Trainers
from proxy.features.jobs.training.trainings import LearningMeans, Trainings


class OpenTrainings(NamedTuple):
    """The trainings of one worker."""

    wishes: Trainings
    bills: TrainingBills
    means: TrainingMeans
    trainers: Trainers
    ends: TrainingEnds
    far: TrainingsElsewhere

    def at(self, revision: HouseRevision) -> TrainingMaker:
        """Go on by a new revision of the configuration, and return how accounts ask for trainings in it."""
        config, speaking, voices = revision.config, revision.speaking, revision.voices
        assert speaking is not None, "a worker speaks"
        assert voices is not None, "a worker speaks"
        self.trainers.revise(config)
        self.means.learning.revise(speaking, revision.admin_tools.callers, voices.catalogue.licences)
        self.ends.revise(revision.library, revision.purges)
        self.wishes.is_here = JOBS.of(config).here or not (config.serves and self.means.store.is_shared)
        return TrainingMaker(
            self.means, voices.catalogue, revision.library, is_reachable=bool(config.server.public_url)
        )


def open_trainings(house: House, files: JobFiles) -> OpenTrainings:
    """Wire the trainings of a worker."""
    assert house.engines is not None, "a command trains nothing"
    bills = TrainingBills(house.ledger, files, house.metrics)
    trainers = Trainers(house.registry, house.engines, house.config_at_start, house.book)
    learning = Learning(house.store, house.vault, house.own_voices, house.grants, house.samples)
    ends = TrainingEnds(house.store, house.trained, house.metrics.registry, house.notices)
    far = TrainingsElsewhere(house.store, files, learning, trainers)
    wishes = Trainings(house.store, LearningMeans(files, trainers, learning, far), ends)
    means = TrainingMeans(house.store, house.vault, files, learning, trainers, bills, wishes.look_soon)
    return OpenTrainings(wishes, bills, means, trainers, ends, far)
