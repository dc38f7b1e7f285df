"""A codec without a host, as an mmengine model."""

from mmengine.model import BaseModel
from torch import Tensor, nn

from mmhmc.codecs import ImageCodec, build_codec
from mmhmc.input_norm import InputNorm
from mmhmc.part_weights import find_part
from mmhmc.registry import MODELS
from mmhmc.structures import CodedBatch
from .condition_choice import ConditionChoice
from .image_coding import ImageCoding, complete_test_cfg

RGB = dict(type='ImgDataPreprocessor', bgr_to_rgb=True)


@MODELS.register_module()
class CodecModel(ImageCoding, BaseModel):
    """A codec without a host: to pre-train it, and to measure it on Kodak.

    Losses and metrics come from ``RateLossHook``, as they do in front of a
    host. The codec's keys begin with ``codec.``, so a trained one enters a
    ``CodecBackbone`` by ``codec.init_cfg=dict(type='Pretrained',
    checkpoint=...)``. ``load_from`` takes the checkpoint of such a model, or
    of the codec alone.

    Args:
        codec: Codec, or its config.
        data_preprocessor: Config of mmengine's ``ImgDataPreprocessor``; the
            default turns loaded images (BGR) into RGB.
        test_cfg: ``real_bits``: False only estimates. Default True.
            ``layers``: see :class:`CodecBackbone`.
        condition: See :class:`ConditionChoice`.
        train_condition: See :class:`ConditionChoice`.
        init_cfg: mmengine's initialisation.
    """

    adapter: nn.Module | None = None

    def __init__(self,
                 codec: ImageCodec | dict,
                 data_preprocessor: dict = RGB,
                 test_cfg: dict | None = None,
                 condition: dict | None = None,
                 train_condition: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.choose_condition = ConditionChoice(condition, train_condition)
        self.input_norm = InputNorm.from_preprocessor(data_preprocessor)
        self.codec = build_codec(codec)
        self.test_cfg = complete_test_cfg(test_cfg)

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        given = [key for key in state_dict if key.startswith(prefix)]
        here = f'{prefix}codec.'
        if given and self.codec.state_dict() and not any(
                key.startswith(here) for key in given):
            place = find_part(self.codec, {key: None for key in given})
            if place is None:
                raise ValueError(
                    'The checkpoint holds nothing of the codec '
                    f'{type(self.codec).__name__}, which would stay random; it'
                    f' has {given[0]!r} and {len(given) - 1} more. Give the '
                    'checkpoint of a model with this codec.')
            for key in given:
                if key.startswith(place):
                    state_dict[here + key[len(place):]] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self,
                inputs: Tensor,
                data_samples: list | None = None,
                mode: str = 'tensor') -> CodedBatch | dict | list:
        """Encode and decode images.

        Args:
            inputs: From the data preprocessor, shape (B, 3, H, W).
            data_samples: One for each image.
            mode: ``'tensor'``, ``'loss'`` or ``'predict'``.

        Returns:
            The coded batch; or a dictionary that ``RateLossHook`` fills with
            losses; or the data samples, to which it adds the field `coding`.

        Raises:
            RuntimeError: In mode ``'loss'`` without a ``RateLossHook``.
            ValueError: If the mode is unknown or images are not finite.
        """
        if mode not in ('tensor', 'loss', 'predict'):
            raise ValueError("`mode` must be 'tensor', 'loss' or 'predict', "
                             f'got {mode!r}.')
        if mode == 'loss' and self._recording is None:
            raise RuntimeError('The losses of a CodecModel come from '
                               'RateLossHook; add '
                               "dict(type='mmhmc.RateLossHook', ...) to "
                               '`custom_hooks`.')
        coded = self.code_images(self.input_norm.to_image(inputs), inputs)
        return {'tensor': coded, 'loss': {}, 'predict': data_samples}[mode]
