"""As `yolox-nano_dynadapt_coco.py`, with one codec for all rates: DCVC-UF's.

Codec and adaptation are told the quality, and every image of a batch draws
one, up to 44 of 64. The whole curve: `mmhmc test CONFIG CHECKPOINT
--qualities 10,19,29,37`, where the distortion weighs .0009, .0018, .0036 and
.0065.
"""
_base_ = ['yolox-nano_dynadapt_coco.py']
stages = [
    dict(
        name='codec',
        config='../dcvc_uf/dcvc-uf-small_pictures.py',
        result='model.backbone.codec.init_cfg.checkpoint')
]
model = dict(
    backbone=dict(
        codec=dict(
            _delete_=True,
            type='mmhmc.DCVCUFIntra',
            hidden_channels=128,
            latent_channels=96,
            hyper_channels=64,
            init_cfg=_base_.pretrained),
        adapter=dict(num_qualities=64),
        condition=dict(quality=37),
        train_condition=dict(quality=list(range(1, 45)))))
objective = dict(
    lmbda_distortion=[3 / 255**2 * 10 * 102.4**(q / 63) for q in range(64)])
