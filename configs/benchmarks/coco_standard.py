"""Standard codecs before a COCO detector: YOLOX-nano on a part of val2017.

`data/coco_sample` holds `instances_val.json` and `images/`, and
`data/weights/yolox_nano_mmdet.pth` the detector.
"""
anchor = 'HEVC'
picture_metrics = ['psnr', 'ms_ssim']
_root, _annotations = 'data/coco_sample', 'instances_val.json'
datasets = dict(
    coco=dict(root=f'{_root}/images', annotations=f'{_root}/{_annotations}'))
tasks = dict(
    yolox=dict(
        config='mmdet::yolox/yolox_nano_8xb8-300e_coco.py',
        checkpoint='data/weights/yolox_nano_mmdet.pth',
        dataset='coco',
        metrics=['coco/bbox_mAP'],
        cfg_options={
            'test_dataloader.dataset.data_root': f'{_root}/',
            'test_dataloader.dataset.ann_file': _annotations,
            'test_dataloader.dataset.data_prefix.img': 'images/',
            'test_evaluator.ann_file': f'{_root}/{_annotations}',
        }))
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
