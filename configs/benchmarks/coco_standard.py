"""Standard codecs before a COCO detector: YOLOX-nano on a part of val2017.

`data/coco_sample` holds `instances_val.json` and `images/`.
"""
_base_ = ['../_base_/benchmarks/yolox_nano_coco.py']
anchor = 'HEVC'
image_metrics = ['psnr', 'ms_ssim']
# A detector sees little more than in the original from 0.3 bpp on.
codecs = dict(
    HEVC=dict(
        codec=dict(type='mmhmc.HEVCIntra'),
        points={f'qp{qp}': dict(quality=qp)
                for qp in (51, 47, 42, 37)}),
    VVC=dict(
        codec=dict(type='mmhmc.VVCIntra'),
        points={f'qp{qp}': dict(quality=qp)
                for qp in (52, 47, 42, 37)}),
    JPEG=dict(
        codec=dict(type='mmhmc.JPEG'),
        points={f'q{q}': dict(quality=q)
                for q in (3, 5, 12, 25)}))
