"""Standard codecs on the 24 Kodak images, in data/kodak.

HEVC at the QPs of the published HM points, the others spread over the same
rates.
"""
anchor = 'HEVC'
published = ['HM', 'VTM', 'JPEG']
image_metrics = ['psnr', 'ms_ssim']
datasets = dict(kodak=dict(root='data/kodak'))


def _standard(name, qualities, label='q'):
    return dict(
        codec=dict(type=f'mmhmc.{name}'),
        points={f'{label}{q}': dict(quality=q)
                for q in qualities})


codecs = dict(
    HEVC=_standard('HEVCIntra', (47, 42, 37, 32), 'qp'),
    VVC=_standard('VVCIntra', (47, 42, 37, 32), 'qp'),
    JPEG=_standard('JPEG', (5, 12, 25, 50)),
    WebP=_standard('WebP', (1, 10, 30, 60)),
    AVIF=_standard('AVIF', (5, 15, 30, 45)),
    JPEGXL=_standard('JPEGXL', (10, 30, 50, 70)))
