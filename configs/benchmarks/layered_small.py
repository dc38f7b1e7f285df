"""The small layered codec on 100 faces, beside standard codecs.

Image quality, and the accuracy of the network for images on decoded images;
`configs/tested_models/layered_small.py` reads the streams themselves.
The weights are the zoo's; `configs/layered/README.md` has the commands that
make them.
"""
anchor = 'HEVC'
image_metrics = ['psnr', 'ms_ssim']
complexity = (256, 256)
datasets = dict(faces=dict(root='data/celebamask_hq/val/images'))
tasks = dict(
    parsing=dict(
        config='configs/layered/layered-small_parsing_rgb.py',
        checkpoint='mmhmc://layered-small_parsing_rgb',
        dataset='faces',
        metrics=['mIoU', 'aAcc', 'mFscore']))


def _ours(**changes):
    """A point for each weight of the rate."""
    return dict(
        codec='configs/_base_/codecs/layered_small.py',
        points={
            f'rate{rate}':
            dict(
                checkpoint=f'mmhmc://layered-small_parsing_rate{rate}',
                cfg_options={
                    f'codec.{name}': value
                    for name, value in changes.items()
                })
            for rate in (1, 2, 4, 8)
        })


codecs = {
    'HEVC':
    dict(
        codec=dict(type='mmhmc.HEVCIntra'),
        points={f'qp{qp}': dict(quality=qp)
                for qp in (51, 47, 43, 39)}),
    'VVC':
    dict(
        codec=dict(type='mmhmc.VVCIntra'),
        points={f'qp{qp}': dict(quality=qp)
                for qp in (55, 50, 45, 40)}),
    'ours':
    _ours(),
    'ours, base layer':
    _ours(base_only=True),
}
