"""Encoder and g_t before a frozen YOLOX-nano, from images without labels.

One training for all rates. Of DCVC-UF's codec only the encoder learns, so the
codec for people reads and shows the files. The detector's features of x_bar
shall be those of x; no labels are needed. Any folder of images goes to
`data/pictures`; tests are those of `yolox-nano_dynadapt_coco_dcvc-uf.py`.
The encoder alone: `--cfg-options model.backbone.adapter=None
training_stages.joint.trainable=[encoder]`.

The objective is that of a search (`mmhmc encode --for`), but the features have
twice the weight of the distortion. As in the training of the codec, all terms
of an image are divided by the root of its weight.
"""
_base_ = ['yolox-nano_dynadapt_coco_dcvc-uf.py']
model = dict(backbone=dict(codec=dict(init_cfg=dict(
    checkpoint='mmhmc://dcvc-uf-small_pictures'))))
stages = []
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmhmc.ImageFolder',
        data_root='data/pictures',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(
                type='RandomResize',
                scale=(416, 416),
                ratio_range=(0.8, 1.5),
                keep_ratio=True),
            dict(type='RandomCrop', crop_size=(320, 320)),
            dict(type='RandomFlip', prob=0.5),
            dict(
                type='Pad',
                size=(320, 320),
                pad_val=dict(img=(114., 114., 114.))),
            dict(type='PackDetInputs')
        ]))
objective = dict(
    lmbda_rate=[102.4**(0.25 - q / 126) for q in range(64)],
    lmbda_distortion=[
        3 / 255**2 * 10 * 102.4**(0.25 + q / 126) for q in range(64)
    ],
    lmbda_task=0.,
    perceptual=dict(
        backbone=dict(out_indices=(2, 3, 4)), unit=False),
    lmbda_perceptual=[
        300 * 3 / 255**2 * 10 * 102.4**(0.25 + q / 126) for q in range(64)
    ],
    perceptual_of='x_bar')
training_stages = dict(
    _delete_=True,
    by_epoch=False,
    joint=dict(begin=0, trainable=['encoder', 'adapter']))
optim_wrapper = dict(optimizer=dict(lr=5e-4))
train_cfg = dict(max_iters=3000, val_interval=3000)
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, start_factor=0.1, begin=0, end=50),
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        begin=50,
        end=3000,
        eta_min_ratio=0.02)
]
default_hooks = dict(checkpoint=dict(interval=500, max_keep_ckpts=6))
