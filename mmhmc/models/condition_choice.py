"""Run-time controls of a codec, of which training may draw some."""
from collections.abc import Sequence
from dataclasses import fields

import torch

from mmhmc.structures import CodingCondition, Condition

_NAMES = tuple(field.name for field in fields(CodingCondition))


class ConditionChoice:
    """Run-time controls of a codec: fixed, or drawn for each training batch.

    They are drawn by torch's generator on the CPU, so a resumed run draws the
    same ones. Each process of a distributed run draws its own.

    Args:
        condition: ``quality``, ``task``, ``alpha``, ``beta``, as far as the
            codec has them; None for none.
        train_condition: For some of them a list of values. Each training
            batch draws one, all equally likely, instead of the fixed one; of
            the qualities each image, where the codec can.

    Raises:
        ValueError: If a name is unknown or there is nothing to draw from.
    """

    def __init__(self,
                 condition: dict | None = None,
                 train_condition: dict | None = None) -> None:
        for name, given in (('condition', condition), ('train_condition',
                                                       train_condition)):
            unknown = set(given or {}) - set(_NAMES)
            if unknown:
                raise ValueError(f'`{name}` has the unknown keys '
                                 f'{sorted(unknown)}; it may have '
                                 f'{list(_NAMES)}.')
        self._fixed = dict(condition or {})
        self._values = dict(train_condition or {})
        for name, values in self._values.items():
            if not isinstance(values, Sequence) or isinstance(values, str) \
                    or not values:
                raise ValueError(f'`train_condition.{name}` must be a list of '
                                 f'values to draw from, got {values!r}.')

    def fix(self, **controls) -> None:
        """Set some of the fixed controls, which hold in evaluation.

        Args:
            **controls: See ``condition``; None takes one away.
        """
        fixed = {**self._fixed, **controls}
        self._fixed = {k: v for k, v in fixed.items() if v is not None}

    def __call__(self, training: bool, images: int | None = None) -> Condition:
        """Controls for the next batch; None if there are none.

        Args:
            training: Whether it is a training batch.
            images: Number of images, for each of which a quality is drawn;
                None draws one for all of them.
        """
        chosen = dict(self._fixed)
        if training:
            for name, values in self._values.items():
                count = images if name == 'quality' else None
                drawn = tuple(
                    values[int(i)]
                    for i in torch.randint(len(values), (count or 1, )))
                chosen[name] = drawn if count else drawn[0]
        return CodingCondition(**chosen) if chosen else None
