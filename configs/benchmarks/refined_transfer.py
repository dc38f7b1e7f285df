"""Files that were refined for YOLOX-nano, judged by networks nobody asked.

A segmentor of streets and a classifier of objects; their backbones began as
YOLOX-nano's and have learnt other tasks. And YOLOX-nano itself, which was
asked. Images are coded at their own size, before the hosts' pipelines.
`data/coco_crops`: `python tools/dataset_converters/coco_crops.py
data/coco_sample`.
"""
_base_ = ['../_base_/benchmarks/yolox_nano_coco.py']
anchor = 'unrefined'
image_metrics = ['psnr']
datasets = dict(
    camvid=dict(root='data/camvid/val'),
    crops=dict(root='data/coco_crops/val'))
tasks = dict(
    pspnet=dict(
        config='configs/mpa/pspnet_csp-nano_camvid.py',
        checkpoint='mmhmc://pspnet_csp-nano_camvid',
        dataset='camvid',
        metrics=['mIoU']),
    classifier=dict(
        config='configs/mpa/classifier_csp-nano_coco-crops.py',
        checkpoint='mmhmc://classifier_csp-nano_coco-crops',
        dataset='crops',
        metrics=['accuracy/top1']))
_name = 'mean-scale-hyperprior_pictures'


def _row(*hosts, **search):
    if hosts:
        search['readers'] = [
            dict(type='mmhmc.HostReader', config=host) for host in hosts
        ]
    return dict(
        codec=f'configs/mean_scale_hyperprior/{_name}.py',
        points={
            f'lmbda{lmbda}': dict(checkpoint=f'mmhmc://{_name}_{lmbda}')
            for lmbda in (0.0009, 0.0018, 0.0035, 0.0067)
        },
        **(dict(refinement=search) if search else {}))


codecs = {
    'unrefined': _row(),
    'for people': _row(steps=30),
    'for YOLOX-nano': _row('machines', steps=30),
    'for the classifier': _row('classifier_csp-nano_coco-crops', steps=30),
}
