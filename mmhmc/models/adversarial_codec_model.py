"""Codec and discriminator learn on alternate batches."""
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mmhmc.former_names import former_property
from mmhmc.structures import CodecOutput, Condition
from .codec_model import CodecModel


class AdversarialCodecModel(CodecModel):
    """Base class: a codec alone that learns against a discriminator.

    A subclass builds :attr:`discriminator` and :attr:`adversarial`, and gives
    the losses of the codec. The discriminator's batches are encoded without
    gradients, and on the codec's batches the discriminator is frozen, so
    neither ever sees a gradient of the other's loss.

    The number of batches so far is part of the state dict, so a run that is
    resumed goes on with the same part. Losses come from the model.
    ``RateLossHook`` describes at test time what was coded, for the metrics;
    its weights do not count here.
    """

    #: None: only the codec learns.
    discriminator: nn.Module | None
    adversarial: nn.Module
    #: Batches so far, an int: a number on a GPU would have to be waited for.
    num_batches = 0
    turn = former_property('active_optimizer')

    @property
    def active_optimizer(self) -> str:
        """Optimizer of the next batch.

        ``'generator'``, which is the codec's, or ``'discriminator'``.
        """
        if self.discriminator is None or self.num_batches % 2 == 0:
            return 'generator'
        return 'discriminator'

    def forward(self,
                inputs: Tensor,
                data_samples: list | None = None,
                mode: str = 'tensor') -> dict | list:
        """As :meth:`CodecModel.forward`, but for mode ``'loss'``.

        It gives the losses of the part that learns, and logs. H and W are
        multiples of the codec's stride then.
        """
        if mode != 'loss':
            return super().forward(inputs, data_samples, mode)
        x = self.input_norm.to_image(inputs)
        losses = dict(
            generator=self._generator_losses,
            discriminator=self._discriminator_losses)[self.active_optimizer]
        condition = self._draw_condition()
        self.num_batches += 1
        return losses(x, condition)

    def _draw_condition(self) -> Condition:
        """Run-time controls of the next batch."""
        return self.choose_condition(training=True)

    @abstractmethod
    def _generator_losses(self, x: Tensor,
                          condition: Condition) -> dict[str, Tensor]:
        """Losses of the codec and logs; the batch has been counted."""

    def _discriminator_losses(self, x: Tensor,
                              condition: Condition) -> dict[str, Tensor]:
        with torch.no_grad():
            output = self.codec(x, condition)
        # In one forward, so that both are judged by the same spectral norms.
        logits = self.discriminator(
            torch.cat((x, output.x_hat)),
            torch.cat((output.y_hat, output.y_hat)),
            self._judged_quality(condition))
        real, fake = logits.chunk(2)
        right = torch.cat((real > 0, fake < 0)).float().mean()
        return dict(
            loss_discriminator=self.adversarial.discriminator(real, fake),
            discriminator_accuracy=right)

    def _judged_quality(self, condition: Condition) -> int:
        """Which quality the discriminator judges, from 1."""
        return 1

    @contextmanager
    def _frozen_discriminator(self) -> Iterator[nn.Module]:
        """The discriminator: gradients pass, but its weights get none."""
        trained = [
            p for p in self.discriminator.parameters() if p.requires_grad
        ]
        try:
            for parameter in trained:
                parameter.requires_grad_(False)
            yield self.discriminator
        finally:
            for parameter in trained:
                parameter.requires_grad_()

    def _adversarial_loss(self, output: CodecOutput,
                          condition: Condition) -> Tensor:
        """L_G, which the codec minimises."""
        with self._frozen_discriminator() as discriminator:
            logits = discriminator(output.x_hat, output.y_hat,
                                   self._judged_quality(condition))
        return self.adversarial.generator(logits)

    def _save_to_state_dict(self, destination: dict, prefix: str,
                            keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f'{prefix}num_batches'] = torch.tensor(self.num_batches)

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        key = f'{prefix}num_batches'
        _, _, missing, unexpected, _ = args
        if key in state_dict:
            self.num_batches = int(state_dict[key])
            if key in unexpected:
                unexpected.remove(key)
        else:
            missing.append(key)
