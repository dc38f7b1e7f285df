"""Three seeds of Mask R-CNN behind an adapted codec on Penn-Fudan.

The same weights and bits with adaptation and without it. Their weights are not
in the zoo; `configs/hmc/README.md` has the commands.
"""
_base_ = ['./pennfudan.py']


def _test(seed, **others):
    return dict(
        config='configs/hmc/mask-rcnn_dynadapt_pennfudan.py',
        checkpoint=f'work_dirs/pennfudan/seed{seed}/epoch_8.pth',
        cfg_options={
            'model.backbone.codec.init_cfg': None,
            **others
        })


tests = {
    '_delete_': True,
    **{
        f'seed {seed}, {name}': _test(seed, **options)
        for seed in (0, 1, 2) for name, options in (
            ('with adaptation', {}),
            ('without', {
                'model.backbone.test_cfg.adapter': False
            }))
    },
}
