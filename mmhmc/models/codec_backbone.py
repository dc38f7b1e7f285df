"""A host's backbone with a codec in front of it."""
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmhmc.codecs import ImageCodec, build_codec
from mmhmc.input_norm import InputNorm
from mmhmc.registry import MODELS
from .condition_choice import ConditionChoice
from .image_coding import (ImageCoding, build_adapter, check_layer_count,
                           complete_test_cfg)


@MODELS.register_module()
class CodecBackbone(ImageCoding, BaseModule):
    """Codec, adapter and host backbone, in place of the host backbone.

    .. code-block:: none

        inputs ─► undo host normalisation ─► x ─► codec ─► x_hat ─► adapter
                                                                       │
        features ◄─ host backbone ◄─ host normalisation ◄── x_bar ◄────┘

    The host's class does not change, and its checkpoints load as they are:
    keys of the bare backbone are loaded into the inner one. Outside an image
    (batch padding) the host's values are kept. With an ``IdentityCodec`` and
    no adapter, features equal the bare host's to the last bit.

    Args:
        codec: Codec, or its config.
        backbone: Host backbone, or its config, which is built in the host's
            scope.
        input_norm: The host's data preprocessor config, from which mean,
            std and channel order are read; or ``mean``, ``std`` and
            ``channel_order``; or an :class:`InputNorm`.
        adapter: Adapter or its config, e.g. ``DynamicAdaptation``.
        test_cfg: ``adapter``: False bypasses the adapter at test time, at
            identical bits; ``real_bits``: False only estimates. Default True.
            ``refinement``: arguments of a
            :class:`~mmhmc.refinement.LatentRefinement`, which searches for
            the latent of each image.
        condition: See :class:`ConditionChoice`.
        train_condition: See :class:`ConditionChoice`.
        machine_layers: How many layers of a file the host sees, of a codec in
            layers, in training and at test time, while people see all; None:
            the host sees all, too.
        pretrained: As ``init_cfg``, in the form that segmentors give it.
        init_cfg: Initialisation of the host backbone, if that is a config:
            some hosts set it for any backbone. Codec and adapter have their
            own.

    Raises:
        TypeError: If a part is of the wrong kind.
        ValueError: If a name is unknown or parts do not fit each other.
    """

    _is_decoded = False

    def __init__(self,
                 codec: ImageCodec | dict,
                 backbone: nn.Module | dict,
                 input_norm: InputNorm | dict,
                 adapter: nn.Module | dict | None = None,
                 test_cfg: dict | None = None,
                 condition: dict | None = None,
                 train_condition: dict | None = None,
                 machine_layers: int | None = None,
                 pretrained: str | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__()
        self.choose_condition = ConditionChoice(condition, train_condition)
        self.input_norm = InputNorm.from_preprocessor(input_norm)
        self.codec = build_codec(codec)
        self.adapter = build_adapter(adapter, self.codec)
        self.test_cfg = complete_test_cfg(test_cfg)
        self.machine_layers = check_layer_count(machine_layers, self.codec)
        if isinstance(backbone, dict):
            given = dict(pretrained=pretrained, init_cfg=init_cfg)
            backbone = dict(
                backbone, **{
                    k: v
                    for k, v in given.items() if v is not None
                })
            # mmengine's root registry builds it in the host's default scope.
            backbone = MODELS.parent.build(backbone)
        self.backbone = backbone

    def init_weights(self) -> None:
        """Initialise all parts; a synthesis for the machine from the codec's.
        """
        super().init_weights()
        if getattr(self.adapter, 'placement', None) == 'synthesis':
            self.adapter.begin_as(self.codec.g_s)

    def forward(self, inputs: Tensor, *args, **kwargs):
        """Features of the decoded images.

        Args:
            inputs: Images as the host normalises and pads them, shape
                (B, 3, H, W), or (B, 1, H, W) for grey ones.
            *args: For the host backbone, e.g. masks.
            **kwargs: For the host backbone.

        Returns:
            Whatever the host backbone returns.

        Raises:
            RuntimeError: If a bitstream does not decode to its latents.
            ValueError: If the images are not finite, or sizes do not fit.
        """
        seen = inputs if self._is_decoded else self.decode(inputs)
        return self.backbone(seen, *args, **kwargs)

    @contextmanager
    def decoded(self, inputs: Tensor) -> Iterator[Tensor]:
        """Encode and decode whole images before the host cuts windows.

        Within this context :meth:`forward` encodes nothing: its inputs count
        as decoded.

        Args:
            inputs: As for :meth:`forward`.

        Yields:
            The decoded images for the host, same shape.
        """
        seen = self.decode(inputs)
        self._is_decoded = True
        try:
            yield seen
        finally:
            self._is_decoded = False

    def decode(self, inputs: Tensor) -> Tensor:
        """Encode and decode images, without the host's backbone.

        Args:
            inputs: As for :meth:`forward`.

        Returns:
            The decoded images for the host's backbone, same shape.
        """
        with torch.autocast(inputs.device.type, enabled=False):
            x = self.input_norm.to_image(inputs)
        coded = self.code_images(x, inputs)
        with torch.autocast(inputs.device.type, enabled=False):
            return self.input_norm.to_inputs(inputs, coded.x, coded.x_bar)

    def __getattr__(self, name: str):
        # Hosts read attributes of their backbone, e.g. out_channels.
        try:
            return super().__getattr__(name)
        except AttributeError:
            backbone = self.__dict__.get('_modules', {}).get('backbone')
            if backbone is None:
                raise
            return getattr(backbone, name)

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        own = {f'{prefix}{k}' for k in self.state_dict()}
        given = [k for k in state_dict if k.startswith(prefix)]
        if given and not own.intersection(given):
            self._take_host_checkpoint(state_dict, prefix, given)
        if getattr(self.adapter, 'placement', None) == 'synthesis' and not any(
                key.startswith(f'{prefix}adapter.g_s.') for key in state_dict):
            # A checkpoint of before: it begins as that of the codec in it.
            theirs = f'{prefix}codec.g_s.'
            state_dict.update({
                f'{prefix}adapter.g_s.{key[len(theirs):]}':
                state_dict[key]
                for key in [*state_dict] if key.startswith(theirs)
            })
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _take_host_checkpoint(self, state_dict: dict, prefix: str,
                              given: list[str]) -> None:
        """Rename a bare host's keys in place; codec and adapter stay."""
        inner = self.backbone.state_dict()
        hits = [k for k in given if k[len(prefix):] in inner]
        name = type(self.backbone).__name__
        if not hits:
            raise ValueError(
                f'This checkpoint does not fit the backbone {name}: none of '
                f'its keys is among its {len(inner)} tensors (it has '
                f'{given[0]!r}, expected e.g. {prefix + next(iter(inner))!r}).'
                ' Use a checkpoint of the same host config.')
        wrong = [(k, tuple(state_dict[k].shape),
                  tuple(inner[k[len(prefix):]].shape)) for k in hits
                 if state_dict[k].shape != inner[k[len(prefix):]].shape]
        if wrong:
            raise ValueError(
                f'This checkpoint does not fit the backbone {name}: '
                f'{len(wrong)} of {len(hits)} tensors have other shapes, first'
                f' {wrong[0][0]!r} with {wrong[0][1]}, expected {wrong[0][2]}.'
                ' Use a checkpoint of the same host config.')
        for key in given:
            state_dict[f'{prefix}backbone.{key[len(prefix):]}'] = \
                state_dict.pop(key)
        for key, value in self.state_dict().items():
            if not key.startswith('backbone.'):
                state_dict[prefix + key] = value
        print_log(
            f'Host checkpoint: {len(hits)} of {len(inner)} tensors of the '
            f'backbone {name} taken; codec and adapter keep their own.',
            logger='current')
