"""Table 1 of dynamic adaptation (ICIP 2024): COCO box and mask, Kodak PSNR.

The anchor is HEVC intra: QP 47, 42, 37, 32 on Kodak, 42, 37, 32, 27 on COCO.
Needs COCO 2017 in data/coco, Kodak in data/kodak, the detector's weights, and
checkpoints of the learned codecs: CompressAI's by `--cfg-options
codecs.X.points.Y.checkpoint=FILE`, ours by training
`configs/hmc/mask-rcnn-x101_dynadapt.py` at four rates.

Expected (the paper's table, BD-rate against HEVC for box, mask, Kodak): VVC
-23.78, -23.98, -25.20; Balle 2018 -19.08, -18.37, +7.68; Minnen 2018 -28.79,
-27.89, -13.85; Cheng 2020 -31.52, -30.77, -19.76; ours -36.76, -36.79, -21.50.
"""
anchor = 'HEVC'
image_metrics = ['psnr', 'ms_ssim']
datasets = dict(
    kodak=dict(root='data/kodak'),
    coco=dict(
        root='data/coco/val2017',
        annotations='data/coco/annotations/instances_val2017.json'))
tasks = dict(
    maskrcnn=dict(
        config='mmdet::mask_rcnn/'
        'mask-rcnn_x101-32x8d_fpn_ms-poly-3x_coco.py',
        checkpoint='checkpoints/mask-rcnn_x101-32x8d_fpn_3x_coco.pth',
        dataset='coco',
        metrics=['coco/bbox_mAP', 'coco/segm_mAP']))
_kodak_and_coco = {
    47: ['kodak'],
    42: ['kodak', 'coco'],
    37: ['kodak', 'coco'],
    32: ['kodak', 'coco'],
    27: ['coco']
}
_standard = {
    f'qp{qp}': dict(quality=qp, datasets=names)
    for qp, names in _kodak_and_coco.items()
}


def _learned(name):
    return {
        f'q{q}': dict(checkpoint=f'checkpoints/{name}_q{q}.pth')
        for q in (1, 2, 3, 4)
    }


codecs = dict(
    HEVC=dict(codec=dict(type='mmhmc.HEVCIntra'), points=_standard),
    VVC=dict(codec=dict(type='mmhmc.VVCIntra'), points=_standard),
    Balle2018=dict(
        codec=dict(type='mmhmc.ScaleHyperprior'),
        points=_learned('bmshj2018-hyperprior')),
    Minnen2018=dict(
        codec=dict(
            type='mmhmc.JointAutoregressive',
            hidden_channels=192,
            latent_channels=192),
        points=_learned('mbt2018')),
    Cheng2020=dict(
        # CompressAI's are narrower at the three lower rates.
        codec=dict(type='mmhmc.Cheng2020Attention', hidden_channels=128),
        points={
            name:
            dict(
                point,
                cfg_options={'codec.hidden_channels': 192}
                if name == 'q4' else {})
            for name, point in _learned('cheng2020-attn').items()
        }),
    ours=dict(
        codec=dict(type='mmhmc.Cheng2020Attention', hidden_channels=192),
        adapter=dict(type='mmhmc.DynamicAdaptation'),
        without_adapter='ours without adaptation',
        points={
            f'lmbda{lmbda}':
            dict(checkpoint=f'checkpoints/dynadapt_{lmbda}.pth')
            for lmbda in (0.0018, 0.0035, 0.0067, 0.013)
        }))
