"""Standard codecs on the 24 Kodak images, in data/kodak.

HEVC at the QPs of the published HM points, the others spread over the same
rates.
"""
anchor = 'HEVC'
published = ['HM', 'VTM', 'JPEG']
image_metrics = ['psnr', 'ms_ssim']
datasets = dict(kodak=dict(root='data/kodak'))
codecs = dict(
    HEVC=dict(
        codec=dict(type='mmhmc.HEVCIntra'),
        points={f'qp{qp}': dict(quality=qp)
                for qp in (47, 42, 37, 32)}),
    VVC=dict(
        codec=dict(type='mmhmc.VVCIntra'),
        points={f'qp{qp}': dict(quality=qp)
                for qp in (47, 42, 37, 32)}),
    JPEG=dict(
        codec=dict(type='mmhmc.JPEG'),
        points={f'q{q}': dict(quality=q)
                for q in (5, 12, 25, 50)}),
    WebP=dict(
        codec=dict(type='mmhmc.WebP'),
        points={f'q{q}': dict(quality=q)
                for q in (1, 10, 30, 60)}),
    AVIF=dict(
        codec=dict(type='mmhmc.AVIF'),
        points={f'q{q}': dict(quality=q)
                for q in (5, 15, 30, 45)}),
    JPEGXL=dict(
        codec=dict(type='mmhmc.JPEGXL'),
        points={f'q{q}': dict(quality=q)
                for q in (10, 30, 50, 70)}))
