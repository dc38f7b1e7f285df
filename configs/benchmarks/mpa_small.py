"""Every path of one small MPA checkpoint, by the metric that it is for.

Kodak for people and for the mean squared error at all qualities; CamVid, a
part of COCO, and objects of it for the machines at four. The configs of the
weights are `configs/hmc/mpa-small_*.py` and those of their hosts.
"""
anchor = 'main path'
picture_metrics = ['psnr', 'ms_ssim']
_coco = 'data/coco_sample'
datasets = dict(
    kodak=dict(root='data/kodak'),
    camvid=dict(root='data/camvid/val'),
    crops=dict(root='data/coco_crops/val'),
    coco=dict(
        root=f'{_coco}/images', annotations=f'{_coco}/instances_val.json'))
tasks = dict(
    pspnet=dict(
        config='configs/hmc/pspnet_csp-nano_camvid.py',
        checkpoint='work_dirs/pspnet_csp-nano_camvid/iter_600.pth',
        dataset='camvid',
        metrics=['mIoU']),
    classifier=dict(
        config='configs/hmc/classifier_csp-nano_coco-crops.py',
        checkpoint='work_dirs/classifier_csp-nano_coco-crops/iter_400.pth',
        dataset='crops',
        metrics=['accuracy/top1']),
    yolox=dict(
        config='mmdet::yolox/yolox_nano_8xb8-300e_coco.py',
        checkpoint='data/weights/yolox_nano_mmdet.pth',
        dataset='coco',
        metrics=['coco/bbox_mAP'],
        cfg_options={
            'test_dataloader.dataset.data_root': f'{_coco}/',
            'test_dataloader.dataset.ann_file': 'instances_val.json',
            'test_dataloader.dataset.data_prefix.img': 'images/',
            'test_evaluator.ann_file': f'{_coco}/instances_val.json',
        }))
_weights = 'work_dirs/mpa-small.pth'


def _path(task, alpha, few, every=()):
    """Data sets of a few qualities, and of every one."""
    return dict(
        codec='configs/hmc/mpa-small_pictures.py',
        points={
            f'q{q}':
            dict(
                checkpoint=_weights,
                quality=q,
                task=task,
                alpha=alpha,
                datasets=[*every, *(few if q % 2 == 0 else ())])
            for q in range(1, 9) if every or q % 2 == 0
        })


codecs = {
    # Which task is the same to the main path.
    'main path': _path('mse', 0., ['camvid', 'crops', 'coco'], ['kodak']),
    'MSE path': _path('mse', 1., [], ['kodak']),
    'segmentation path': _path('seg', 1., ['camvid']),
    'classification path': _path('cls', 1., ['crops']),
    'detection path': _path('det', 1., ['coco']),
}
