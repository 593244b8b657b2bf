"""The steps of a training, each of which brings the voice a little nearer to its recordings.

On a CPU, the same seed and recordings give the same steps, also after a restart: the random numbers of a step
follow from its number, and a checkpoint has all state.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

import numpy as np
import torch
from rvc.lib.train import losses
from torch.nn.functional import l1_loss, pad

from plugins.rvc.training.networks import Networks
from plugins.rvc.training.recordings import Slice
from plugins.rvc.training.spectrum import SPECTRA, linear, mel
from speech_engine.training import TrainingOrder, TrainingProgress, TrainingStops, TrainingTalk

_MEL_WEIGHT = 45.0
_RATE, _BETAS, _TINY = 1e-4, (0.8, 0.99), 1e-9
_DECAY = 0.999875
"""The factor of the learning rate for each pass over all slices."""
_MOST_NORM = 1000.0
_SMOOTHED = 25
"""A voice is judged by the mean of this many steps, because each step has other slices."""
_LOOKS_EVERY = 25
_MOST_BROKEN = 20
"""The training ends after so many steps in a row whose losses are not finite."""
_TIMED = 50
_PIECE = 1 << 20


class NoNumbers(Exception):
    """Raised if the losses of a training are not finite."""


class Loop:
    """The training. `curve` has the distance of each step, and `voice` the tensors of the best one so far."""

    def __init__(self, networks: Networks, slices: Sequence[Slice], order: TrainingOrder) -> None:
        self.curve: list[float] = []
        self.best, self.best_step = float("inf"), 0
        self.voice: dict[str, Any] = {}
        self._networks = networks
        self._sizes = SPECTRA[networks.layout.rate_hz]
        self._slices = slices
        self._order = order
        self._batch = min(order.batch, len(slices))
        self._broken = 0
        self._device = next(networks.generator.parameters()).device
        generator, discriminator = networks.generator.parameters(), networks.discriminator.parameters()
        self._of_generator = torch.optim.AdamW(generator, _RATE, _BETAS, _TINY)
        self._of_discriminator = torch.optim.AdamW(discriminator, _RATE, _BETAS, _TINY)

    def run(self, talk: TrainingTalk) -> None:
        """Train until the end. Raises TrainingStops, after a checkpoint."""
        took: deque[float] = deque(maxlen=_TIMED)
        while len(self.curve) < self._order.most_steps and not self._is_flat:
            if talk.must_stop:
                talk.checkpoint(len(self.curve), self.saved())
                raise TrainingStops
            began = time.monotonic()
            self._step()
            took.append(time.monotonic() - began)
            step = len(self.curve)
            if step % _LOOKS_EVERY == 0 or step == self._order.most_steps:
                self._look()
            left_s = sum(took) / len(took) * (self._order.most_steps - step)
            talk.progress(
                TrainingProgress(
                    stage="training",
                    step=step,
                    of=self._order.most_steps,
                    mel=self.curve[-1],
                    best=min(self.best, self._smoothed()),
                    eta_s=left_s,
                )
            )
            if step < self._order.most_steps and talk.is_due(step):
                talk.checkpoint(step, self.saved())

    def saved(self) -> Iterator[bytes]:
        """Yield a checkpoint, from which a later process goes on."""
        networks, file = self._networks, BytesIO()
        torch.save(
            {
                "curve": self.curve,
                "best": self.best,
                "best_step": self.best_step,
                "voice": self.voice,
                "batch": self._batch,
                "broken": self._broken,
                "generator": networks.generator.state_dict(),
                "discriminator": networks.discriminator.state_dict(),
                "of_generator": self._of_generator.state_dict(),
                "of_discriminator": self._of_discriminator.state_dict(),
            },
            file,
        )
        view = file.getbuffer()
        for at in range(0, len(view), _PIECE):
            yield bytes(view[at : at + _PIECE])

    def go_on(self, checkpoint: bytes) -> None:
        state = torch.load(BytesIO(checkpoint), map_location=self._device, weights_only=True)
        self.curve, self.voice = state["curve"], {name: each.cpu() for name, each in state["voice"].items()}
        self.best, self.best_step, self._batch = state["best"], state["best_step"], state["batch"]
        self._broken = state["broken"]
        self._networks.generator.load_state_dict(state["generator"])
        self._networks.discriminator.load_state_dict(state["discriminator"])
        self._of_generator.load_state_dict(state["of_generator"])
        self._of_discriminator.load_state_dict(state["of_discriminator"])

    @property
    def _is_flat(self) -> bool:
        # There is no voice before the first look.
        return bool(self.voice) and len(self.curve) - self.best_step >= self._order.patience

    def _smoothed(self) -> float:
        last = self.curve[-_SMOOTHED:]
        return sum(last) / len(last)

    def _look(self) -> None:
        now = self._smoothed()
        if now < self.best or not self.voice:
            self.best, self.best_step = now, len(self.curve)
            self.voice = {
                name: value.detach().half().cpu().clone()
                for name, value in self._networks.generator.state_dict().items()
                if not name.startswith("enc_q.")
            }

    def _step(self) -> None:
        """Take one step. If the device lacks memory, take it with half of the slices."""
        step = len(self.curve)
        while True:
            # Both the slices and the noise follow from the number of the step.
            draw = np.random.default_rng((self._order.seed, step))
            torch.manual_seed(int(draw.integers(2**62)))
            chosen = draw.choice(len(self._slices), self._batch, replace=False)
            try:
                self.curve.append(
                    self._checked_loss(self._learn([self._slices[number] for number in chosen]))
                )
                return
            except torch.OutOfMemoryError:
                if self._batch == 1:
                    raise
            # After the handler, because the frames of the exception hold the allocated memory.
            self._batch //= 2
            self._of_generator.zero_grad(set_to_none=True)
            self._of_discriminator.zero_grad(set_to_none=True)
            torch.cuda.empty_cache()

    def _checked_loss(self, distance: float) -> float:
        """Return a distance, or the previous one if it is not finite. Raise NoNumbers without one."""
        if math.isfinite(distance):
            return distance
        if not self.curve:
            raise NoNumbers
        return self.curve[-1]

    def _learn(self, slices: Sequence[Slice]) -> float:
        epoch = len(self.curve) * self._batch // len(self._slices)
        for group in (*self._of_generator.param_groups, *self._of_discriminator.param_groups):
            group["lr"] = _RATE * _DECAY**epoch
        generator, discriminator = self._networks.generator, self._networks.discriminator
        lengths = torch.tensor([each.frames for each in slices])
        most = int(lengths.max())
        features = _stacked([pad(each.features, (0, 0, 0, most - each.frames)) for each in slices])
        coarse = _stacked([pad(each.coarse, (0, most - each.frames), value=1) for each in slices])
        hz = _stacked([pad(each.hz, (0, most - each.frames)) for each in slices])
        spectra = _stacked([pad(each.spectrum, (0, most - each.frames)) for each in slices])
        sounds = _stacked([pad(each.sound, (0, most * self._sizes.hop - len(each.sound))) for each in slices])
        batch = [each.to(self._device) for each in (features, lengths, coarse, hz, spectra, lengths)]
        speaker = torch.zeros(len(slices), dtype=torch.long, device=self._device)
        made, begins, mask, _, (_, z_p, m_p, logs_p, _, logs_q) = generator(*batch, speaker)
        real = self._cut(sounds.to(self._device), begins, made.shape[-1])
        judged = discriminator(real, made.detach())
        against, *_ = losses.discriminator_loss(judged[0], judged[1])
        is_trained = self._move(self._of_discriminator, discriminator, against)
        _, judged_made, real_maps, made_maps = discriminator(real, made)
        distance = l1_loss(self._bands(made), self._bands(real))
        adversarial = losses.generator_loss(judged_made)[0] + losses.feature_loss(real_maps, made_maps)
        whole = adversarial + _MEL_WEIGHT * distance + losses.kl_loss(z_p, logs_q, m_p, logs_p, mask)
        is_trained &= self._move(self._of_generator, generator, whole)
        self._broken = 0 if is_trained else self._broken + 1
        if self._broken >= _MOST_BROKEN:
            raise NoNumbers
        return float(distance.detach()) * _MEL_WEIGHT

    def _bands(self, sounds: Any) -> Any:
        return mel(linear(sounds[:, 0], self._sizes), self._sizes)

    def _cut(self, sounds: Any, begins: Any, length: int) -> Any:
        """Return the parts of whole slices that the made sounds reproduce."""
        hop = self._sizes.hop
        rows = zip(sounds, begins.tolist(), strict=True)
        return torch.stack([sound[None, begin * hop : begin * hop + length] for sound, begin in rows])

    def _move(self, optimizer: Any, network: Any, loss: Any) -> bool:
        """Learn from a loss and return True, or return False if it is not finite."""
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), _MOST_NORM)
        is_number = bool(torch.isfinite(norm))
        if is_number:
            optimizer.step()
        return is_number


def _stacked(rows: Sequence[Any]) -> Any:
    return torch.stack(list(rows))
