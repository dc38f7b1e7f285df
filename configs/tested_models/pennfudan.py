"""Mask R-CNN behind an adapted codec on Penn-Fudan.

The same weights and bits with adaptation and without it, and uncompressed
images.
"""
metrics = {
    'rate/bpp': 'bpp',
    'quality/psnr': 'PSNR (dB)',
    'coco/bbox_mAP': 'box mAP',
    'coco/segm_mAP': 'mask mAP',
}
_model = dict(
    config='configs/hmc/mask-rcnn_dynadapt_pennfudan.py',
    checkpoint='mmhmc://mask-rcnn_dynadapt_pennfudan')
_codec = {
    'model.backbone.codec.init_cfg.checkpoint':
    'mmhmc://mean-scale-hyperprior_dynadapt_pennfudan'
}
tests = {
    'with adaptation':
    dict(_model, cfg_options=_codec),
    'without adaptation':
    dict(
        _model,
        cfg_options={
            **_codec, 'model.backbone.test_cfg.adapter': False
        }),
    'uncompressed':
    dict(
        _model,
        cfg_options={
            'model.backbone.adapter': None,
            'model.backbone.codec':
            dict(_delete_=True, type='mmhmc.IdentityCodec')
        }),
}
