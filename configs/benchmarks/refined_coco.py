"""Searches for people and for YOLOX-nano, before YOLOX-nano, on COCO val2017.

Images are coded as the detector gets them, resized to 416 and padded. The
encoder knows the detector and the original, never the labels; the codecs'
weights know neither. Adapted codecs are searched through their g_t. The last
rows give HEVC a map of what the detector sees. `data/coco_sample` holds
`instances_val.json` and `images/`.
"""
_base_ = ['../_base_/benchmarks/yolox_nano_coco.py']
anchor = 'MeanScaleHyperprior'
protocol = 'in the model'
_lmbdas = (0.0009, 0.0018, 0.0035, 0.0067)


def _reader(model='machines'):
    return dict(type='mmhmc.HostReader', config=model, at_own_size=True)


def _learned(config, name, search=None):
    return dict(
        codec=f'configs/{config}.py',
        points={
            f'lmbda{lmbda}': dict(checkpoint=f'mmhmc://{name}_{lmbda}')
            for lmbda in _lmbdas
        },
        **({} if search is None else dict(refinement=search)))


def _adapted(steps=None):
    name = 'mean-scale-hyperprior_dynadapt_coco'
    return dict(
        codec='configs/hmc/yolox-nano_dynadapt_coco.py',
        points={
            f'lmbda{lmbda}':
            dict(
                checkpoint=f'mmhmc://{name}_{lmbda}',
                **({} if steps is None else dict(
                    refinement=dict(
                        steps=steps, readers=[_reader(f'{name}_{lmbda}')]))))
            for lmbda in _lmbdas
        },
        adapter=dict(type='mmhmc.DynamicAdaptation', width=32))


def _hevc(**importance):
    return dict(
        codec=dict(type='mmhmc.HEVCIntra', **importance),
        points={f'qp{qp}': dict(quality=qp)
                for qp in (47, 42, 37, 32)})


_mean_scale = ('mean_scale_hyperprior/mean-scale-hyperprior_pictures',
               'mean-scale-hyperprior_pictures')
_cheng = ('cheng2020/cheng2020-attn_pictures', 'cheng2020-attn_pictures')
_people = dict(steps=30)
_machine = dict(steps=30, readers=[_reader()])
codecs = {
    'MeanScaleHyperprior':
    _learned(*_mean_scale),
    'MeanScaleHyperprior, people':
    _learned(*_mean_scale, _people),
    'MeanScaleHyperprior, YOLOX-nano':
    _learned(*_mean_scale, _machine),
    'MeanScaleHyperprior, YOLOX-nano, 100 steps':
    _learned(*_mean_scale, dict(_machine, steps=100)),
    'MeanScaleHyperprior, adapted':
    _adapted(),
    'MeanScaleHyperprior, adapted, YOLOX-nano':
    _adapted(30),
    'Cheng2020Attention':
    _learned(*_cheng),
    'Cheng2020Attention, YOLOX-nano':
    _learned(*_cheng, _machine),
    'HEVC':
    _hevc(),
    'HEVC, map':
    _hevc(importance=dict(type='mmhmc.SketchMap', reader=_reader())),
}
