"""HEVC intra, by x265 or HM."""
from collections.abc import Callable

from torch import Tensor

from mmhmc.registry import MODELS, build_part
from .block_offsets import block_offsets, regions_of, weights_of_frame
from .video import VideoIntra, join_options


@MODELS.register_module()
class HEVCIntra(VideoIntra):
    """One intra frame of H.265/HEVC: x265 in ffmpeg, or HM.

    The settings follow HM's all-intra configuration at a constant QP, so that
    the curve can stand for HM's. On the 24 Kodak images at QP 47, 42, 37
    and 32 its BD-rate (PSNR over RGB, cubic) is -0.3 % against the points of
    HM-16.20+SCM-8.8 that CompressAI publishes, both 4:4:4 with 8 bits in
    BT.709; those truncate where this rounds. In particular:

    - ``tune psnr`` takes away what trades PSNR for looks (psycho-visual rate
      distortion); x265 has no adaptive quantisation at a constant QP.
    - ``ipratio=1``: otherwise an intra frame is coded about 3 below the QP
      that was asked for.
    - ``preset='veryslow'`` has what HM does by default: optimised
      quantisation (RDOQ) in every decision and deep transform trees. On
      three images it is 5 % better than ``medium``, and ``placebo`` only
      0.2 % better still.
    - ``info=0`` and ``vui-timing-info=0`` leave out words and times which
      HM does not write either.

    It codes 4:4:4, 4:2:2, 4:2:0 and 4:0:0 with 8 or 10 bits, in one thread.
    The decoder in ffmpeg conceals damage within a frame; the checksum of the
    container finds it.

    Args:
        quality: QP from 0 to 51; a higher one is a lower rate.
        chroma: See :class:`VideoIntra`.
        bit_depth: See :class:`VideoIntra`.
        preset: Of x265, ``'ultrafast'`` to ``'placebo'``.
        importance: Gives the weight of each pixel, (1, 1, H, W), of an image
            (1, 3, H, W), or its config, e.g. of a
            :class:`~mmhmc.refinement.SketchMap`: the QP of blocks of 32 x 32
            follows it, up to 10 up and down. x265 only. None: one QP.
        **kwargs: The other arguments of :class:`VideoIntra`; ``options`` are
            x265's, e.g. ``dict(tskip=1)``, or HM's. ``encoder`` is
            ``TAppEncoder`` and ``decoder`` ``TAppDecoder``.

    Raises:
        ValueError: If an argument is out of range or unknown.

    Reference:
        G. J. Sullivan, J.-R. Ohm, W.-J. Han, T. Wiegand: "Overview of the
        High Efficiency Video Coding (HEVC) Standard", IEEE TCSVT 2012.
    """

    codec_id = 'hevc'
    quality_range = (0, 51)
    _format, _library = 'hevc', 'libx265'
    _presets = ('ultrafast', 'superfast', 'veryfast', 'faster', 'fast',
                'medium', 'slow', 'slower', 'veryslow', 'placebo')

    def __init__(self,
                 quality: int = 37,
                 chroma: str = '444',
                 bit_depth: int = 8,
                 preset: str = 'veryslow',
                 importance: Callable | dict | None = None,
                 **kwargs) -> None:
        super().__init__(quality, chroma, bit_depth, preset, **kwargs)
        if importance is not None and self.encoder is not None:
            raise ValueError('`importance` is for x265, and `encoder` names '
                             'another encoder: leave one of them out.')
        self.importance = build_part(importance)

    def settings(self) -> dict:
        """See :class:`StandardCodec`; with those of ``importance``."""
        result = super().settings()
        if self.importance is not None:
            settings = getattr(self.importance, 'settings', None)
            result['importance'] = settings() if settings \
                else repr(self.importance)
        return result

    def _filters(self, x: Tensor, frame_size: tuple[int, int]) -> list[str]:
        if self.importance is None:
            return []
        size = (x.shape[-2], x.shape[-1])
        weights = weights_of_frame(self.importance(x), size, frame_size)
        steps = 51 + 6 * (self.bit_depth - 8)
        return regions_of(block_offsets(weights), frame_size, steps)

    def _library_arguments(self, quality: int) -> list[str]:
        rate = {'qp': quality}
        if self.importance is not None:
            # The same QP, but x265 takes offsets of blocks with adaptive
            # quantisation alone, of which this is next to none.
            rate = {
                'crf': quality,
                'qcomp': 1,
                'aq-mode': 1,
                'aq-strength': 0.0001,
                'cutree': 0
            }
        switches = {
            **rate, 'keyint': 1,
            'ipratio': 1,
            'info': 0,
            'vui-timing-info': 0,
            'pools': 'none',
            'frame-threads': 1,
            'wpp': 0,
            'log-level': 'error',
            **self.options
        }
        return [
            '-c:v', self._library, '-preset', self.preset, '-tune', 'psnr',
            '-x265-params',
            join_options(switches)
        ]
