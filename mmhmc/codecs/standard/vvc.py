"""VVC intra, by VVenC or VTM."""
from mmhmc.registry import MODELS
from .video import VideoIntra, join_options


@MODELS.register_module()
class VVCIntra(VideoIntra):
    """One intra frame of H.266/VVC: VVenC in ffmpeg, or VTM.

    VVenC codes 4:2:0 with 10 bits and nothing else, while published VTM
    points of learned codecs' papers are mostly 4:4:4 with 8 bits: in 4:2:0
    the PSNR over RGB falls behind towards high rates. VTM codes both. On the
    24 Kodak images at QP 47, 42, 37 and 32 the BD-rate (PSNR over RGB,
    cubic) of ``medium`` is +10.1 % against the points of VTM in 4:4:4 that
    CompressAI publishes, and -17.9 % against those of HM. The settings follow
    VTM's all-intra configuration:

    - ``qpa 0`` takes away the perceptual adaptation of the QP, which costs
      PSNR.
    - ``intraqpoffset=0``: otherwise an intra frame is coded 3 below the QP
      that was asked for.
    - ``intraperiod=1`` and ``gopsize=1`` make it an intra stream: no
      parameters of images that refer to others, 110 bytes less.
    - ``accessunitdelimiter=0`` leaves out 7 bytes that VTM does not write
      either.

    ffmpeg has room for a file of about one byte a pixel. What needs more,
    below QP 5 in most images, is an error.

    Args:
        quality: QP from 0 to 63; a higher one is a lower rate.
        chroma: See :class:`VideoIntra`.
        bit_depth: See :class:`VideoIntra`.
        preset: Of VVenC, ``'faster'`` to ``'slower'``.
        **kwargs: The other arguments of :class:`VideoIntra`; ``options`` are
            VVenC's, or VTM's. ``encoder`` is ``EncoderApp`` and ``decoder``
            ``DecoderApp``.

    Raises:
        ValueError: If an argument is out of range or unknown, or VVenC is to
            code another format.

    Reference:
        B. Bross, Y.-K. Wang, Y. Ye, et al.: "Overview of the Versatile Video
        Coding (VVC) Standard and its Applications", IEEE TCSVT 2021.
        A. Wieckowski, J. Brandenburg, T. Hinz, et al.: "VVenC: An Open and
        Optimized VVC Encoder Implementation", ICMEW 2021.
    """

    codec_id = 'vvc'
    quality_range = (0, 63)
    _format, _library = 'vvc', 'libvvenc'
    _presets = ('faster', 'fast', 'medium', 'slow', 'slower')
    _limit = ' It has room for one byte a pixel; a higher QP needs less.'

    def __init__(self,
                 quality: int = 37,
                 chroma: str = '420',
                 bit_depth: int = 10,
                 preset: str = 'medium',
                 **kwargs) -> None:
        super().__init__(quality, chroma, bit_depth, preset, **kwargs)
        if self.encoder is None and (chroma, bit_depth) != ('420', 10):
            raise ValueError(
                f'VVenC codes 4:2:0 with 10 bits only, got chroma={chroma!r} '
                f'and bit_depth={bit_depth}. Give VTM as `encoder`, or use '
                "chroma='420', bit_depth=10.")

    def _library_arguments(self, quality: int) -> list[str]:
        switches = dict(
            intraperiod=1,
            gopsize=1,
            intraqpoffset=0,
            accessunitdelimiter=0,
            threads=1)
        return [
            '-c:v', self._library, '-preset', self.preset, '-qp',
            str(quality), '-qpa', '0', '-vvenc-params',
            join_options({
                **switches,
                **self.options
            })
        ]
