"""A base for YOLOX-nano inside files for people, on COCO val2017.

Images are coded as the detector gets them, resized to 416 and padded. The
detector sees the base alone, through the codec's own g_s, or through a g_s
that was trained for it by `configs/hmc/yolox-nano_layers_coco.py`, or of files
that were searched for a base that serves it. `data/coco_sample` holds
`instances_val.json` and `images/`.
"""
_base_ = ['../_base_/benchmarks/yolox_nano_coco.py']
anchor = 'one layer'
protocol = 'in the model'
_codec = 'configs/_base_/codecs/mean-scale-hyperprior_small.py'
_in_layers = {'codec.layers': [3]}
_reader = dict(type='mmhmc.HostReader', config='machines', at_own_size=True)


def _row(lmbdas, checkpoint='mmhmc://mean-scale-hyperprior_pictures_{}', **of):
    return dict(
        codec=_codec,
        points={
            f'lmbda{lmbda}': dict(checkpoint=checkpoint.format(lmbda), **of)
            for lmbda in lmbdas
        })


_lmbdas = (0.0009, 0.0018, 0.0035, 0.0067)
_base = dict(cfg_options=_in_layers, layers=1)
codecs = {
    'one layer':
    _row(_lmbdas),
    'all layers':
    _row(_lmbdas, cfg_options=_in_layers),
    'base':
    _row(_lmbdas, **_base),
    'base, its own g_s':
    dict(
        _row((0.0067, ), 'work_dirs/yolox-nano_layers_coco/iter_400.pth',
             **_base),
        adapter=dict(type='mmhmc.MachineSynthesis')),
    'base, searched':
    _row(
        _lmbdas,
        refinement=dict(steps=30, readers=[_reader], machine_layers=1),
        **_base),
}
