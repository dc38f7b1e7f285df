"""Tables of layered generative coding on the faces of CelebAMask-HQ.

Perceptual quality against rate, and parsing of decoded images by the
network for images. The rates of interest, 0.02 to 0.12 bpp at 256x256, are
below those of published weights: the learned codecs have to be trained for
them, ours by `configs/layered/layered_codec.py` at four values of
`model.lmbda_rate`, its ablations with `model.codec.fusion=concat`,
`model.discriminator=None` and `model.codec.base_only_rate=1`. In a file of a
few hundred bytes the forty or so of the header weigh; real bytes are with
them.

Analysis in the compressed domain, separate and joint, and the reference on
images are tests of their own, `tools/test.py CONFIG CHECKPOINT` with
`configs/layered/layered_*_{latent,joint,rgb}.py`, which report bpp, mIoU,
pixel accuracy (aAcc) and mean F1 (mFscore); the saving is 1 - bpp / 24. What
it costs: `dev/latent_cost.py`. Sets of images (FID, KID) and
DISTS, NIQE: `test_evaluator` of `configs/layered/layered_codec.py`.

Expected: nothing; no number of the paper is known but 99.6 % of saving, that
is 0.096 bpp.
"""
anchor = 'HEVC'
image_metrics = ['psnr', 'ms_ssim', 'lpips']
complexity = (256, 256)
datasets = dict(faces=dict(root='data/celebamask_hq/val/images'))
tasks = dict(
    parsing=dict(
        config='configs/layered/layered_parsing_rgb.py',
        checkpoint='checkpoints/layered_parsing_rgb.pth',
        dataset='faces',
        metrics=['mIoU', 'aAcc', 'mFscore']))
_rates = (2, 4, 8, 16)


def _ours(name='layered', **changes):
    return dict(
        codec='configs/_base_/codecs/layered.py',
        points={
            f'rate{rate}':
            dict(
                checkpoint=f'checkpoints/{name}_{rate}.pth',
                cfg_options={
                    f'codec.{key}': value
                    for key, value in changes.items()
                })
            for rate in _rates
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
    'Balle2018':
    dict(
        codec=dict(type='mmhmc.ScaleHyperprior'),
        points={
            f'lmbda{lmbda}':
            dict(checkpoint=f'checkpoints/faces_bmshj2018_{lmbda}.pth')
            for lmbda in (0.0001, 0.0002, 0.0004, 0.0008)
        }),
    'ours':
    _ours(),
    'ours, base layer':
    _ours(base_only=True),
    'ours, concatenation':
    _ours('layered_concat', fusion='concat'),
    'ours, no GAN':
    _ours('layered_no_gan'),
    'ours, no texture':
    _ours('layered_no_texture', base_only_rate=1.),
}
