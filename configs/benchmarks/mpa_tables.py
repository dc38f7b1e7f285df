"""Tables 1 to 4 of multi-path aggregation (MPA, NeurIPS 2024), its slides.

Every path of one checkpoint at every quality: PSNR on Kodak, top-1 of
ConvNeXt-T on ImageNet, mIoU of PSPNet-50 on ADE20K (tables 1 and 2); and what
each codec costs (table 4). Table 3 is the same with checkpoints trained
without a part. Needs the data sets and weights that are named below.

The slides code ImageNet and ADE20K after the host's resize and crop: that is
`--cfg-options protocol='in the model'`, with `datasets` of these two only.

Expected (slides; BD-rate of the MSE path against VTM, top-1, mIoU): inverted
bottlenecks 16.04 %, 77.16 %, 37.76 %; bottlenecks 19.51 %, 76.72 %, 37.41 %.
"""
anchor = 'VVC'
image_metrics = ['psnr', 'ms_ssim']
complexity = (256, 256)
published = ['VTM', 'HM']
datasets = dict(
    kodak=dict(root='data/kodak'),
    imagenet=dict(root='data/imagenet/val'),
    ade20k=dict(root='data/ade/ADEChallengeData2016/images/validation'))
tasks = dict(
    convnext=dict(
        config='mmpretrain::convnext/convnext-tiny_32xb128_in1k.py',
        checkpoint='checkpoints/convnext-tiny_in1k.pth',
        dataset='imagenet',
        metrics=['accuracy/top1']),
    pspnet=dict(
        config='mmseg::pspnet/pspnet_r50-d8_4xb4-80k_ade20k-512x512.py',
        checkpoint='checkpoints/pspnet_r50_ade20k.pth',
        dataset='ade20k',
        metrics=['mIoU']))
_mpa = 'checkpoints/mpa.pth'
_qualities = range(1, 9)


def _path(task, alpha):
    return dict(
        codec=dict(type='mmhmc.MPA', tasks=('mse', 'cls', 'seg')),
        points={
            f'q{q}': dict(checkpoint=_mpa, quality=q, task=task, alpha=alpha)
            for q in _qualities
        })


def _mric(beta):
    return dict(
        codec=dict(type='mmhmc.MRIC'),
        points={
            f'lmbda{lmbda}':
            dict(checkpoint=f'checkpoints/mric_{lmbda}.pth', beta=beta)
            for lmbda in (0.032, 0.064, 0.128, 0.256)
        })


codecs = {
    'VVC':
    dict(
        codec=dict(type='mmhmc.VVCIntra'),
        points={f'qp{qp}': dict(quality=qp)
                for qp in (47, 42, 37, 32)}),
    # Which task is the same to the main path.
    'MPA, perceptual path':
    _path('mse', 0.),
    'MPA, MSE path':
    _path('mse', 1.),
    'MPA, classification path':
    _path('cls', 1.),
    'MPA, segmentation path':
    _path('seg', 1.),
    'TinyLIC, variable rate':
    dict(
        codec=dict(type='mmhmc.TinyLIC', variable_rate=True),
        points={
            f'q{q}': dict(checkpoint='checkpoints/tinylic-vr.pth', quality=q)
            for q in _qualities
        }),
    'ELIC':
    dict(
        codec=dict(type='mmhmc.ELIC'),
        points={
            f'lmbda{lmbda}': dict(checkpoint=f'checkpoints/elic_{lmbda}.pth')
            for lmbda in (0.004, 0.008, 0.016, 0.032)
        }),
    'MRIC, realism':
    _mric(2.56),
    'MRIC, fidelity':
    _mric(0.),
}
