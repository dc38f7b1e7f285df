"""Box mAP of YOLOX-nano on a part of COCO val2017.

`data/coco_sample` holds `instances_val.json` and `images/`.
"""
_root, _annotations = 'data/coco_sample', 'instances_val.json'
datasets = dict(
    coco=dict(root=f'{_root}/images', annotations=f'{_root}/{_annotations}'))
tasks = dict(
    yolox=dict(
        config='mmdet::yolox/yolox_nano_8xb8-300e_coco.py',
        checkpoint='mmhmc://yolox-nano_coco',
        dataset='coco',
        metrics=['coco/bbox_mAP'],
        cfg_options={
            'test_dataloader.dataset.data_root': f'{_root}/',
            'test_dataloader.dataset.ann_file': _annotations,
            'test_dataloader.dataset.data_prefix.img': 'images/',
            'test_evaluator.ann_file': f'{_root}/{_annotations}',
        }))
