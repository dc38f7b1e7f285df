"""A base for PSPNet inside files for people, on CamVid: a second task.

As `layers_coco.py`, for segmentation. `configs/hmc/pspnet_layers_camvid.py`
trains the g_s of the machine.
"""
_base_ = ['./layers_coco.py']
datasets = dict(_delete_=True, camvid=dict(root='data/camvid/val'))
tasks = dict(
    _delete_=True,
    pspnet=dict(
        config='configs/mpa/pspnet_csp-nano_camvid.py',
        checkpoint='mmhmc://pspnet_csp-nano_camvid',
        dataset='camvid',
        metrics=['mIoU']))
_base = _base_.codecs['base']
_reader = dict(
    type='mmhmc.HostReader',
    config='pspnet_csp-nano_camvid',
    at_own_size=True)
codecs = {
    '_delete_': True,
    'one layer': _base_.codecs['one layer'],
    'base': _base,
    'base, its own g_s': dict(
        _base_.codecs['base, its own g_s'],
        points={
            'lmbda0.0067': dict(
                _base['points']['lmbda0.0067'],
                checkpoint='work_dirs/pspnet_layers_camvid/iter_600.pth')
        }),
    'base, searched': dict(
        _base,
        points={
            'lmbda0.0067': dict(
                _base['points']['lmbda0.0067'],
                refinement=dict(
                    steps=30, readers=[_reader], machine_layers=1))
        }),
}
