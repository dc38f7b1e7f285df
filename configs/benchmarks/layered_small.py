"""The small layered codec on 100 faces, beside what is standard.

Pictures for people, and the network for pictures on what is decoded; what is
read from the streams themselves is a test of its own, `tools/test.py
configs/hmc/layered-small_parsing_latent.py`. The weights are those of
`configs/hmc/layered-small_codec.py`, where the rates are, and
`layered-small_parsing_rgb.py`.
"""
anchor = 'HEVC'
picture_metrics = ['psnr', 'ms_ssim']
complexity = (256, 256)
datasets = dict(faces=dict(root='data/celebamask_hq/val/images'))
tasks = dict(
    parsing=dict(
        config='configs/hmc/layered-small_parsing_rgb.py',
        checkpoint='work_dirs/layered/rgb/epoch_20.pth',
        dataset='faces',
        metrics=['mIoU', 'aAcc', 'mFscore']))
_weights = {2: 'iter_600', 4: 'iter_2000', 8: 'iter_600', 16: 'iter_600'}


def _ours(**changes):
    """A point for each weight of the rate."""
    return dict(
        codec=dict(
            type='mmhmc.LayeredGenerative',
            hidden_channels=64,
            semantic_channels=32,
            texture_channels=32,
            hyper_channels=16,
            texture_widths=(16, 32, 64, 96, 128),
            decoder_widths=(128, 96, 64, 32, 16),
            **changes),
        points={
            f'rate{rate}':
            dict(checkpoint=f'work_dirs/layered/rate{rate}/{name}.pth')
            for rate, name in _weights.items()
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
