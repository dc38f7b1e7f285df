"""Other searches before YOLOX-nano on COCO val2017; a day on one core.

For people alone, of 100 steps, of a second codec, and of one that was adapted,
through its g_t. The last rows give HEVC a map of what the detector sees.
"""
_base_ = ['./refined_coco.py']
_lmbdas = (0.0009, 0.0018, 0.0035, 0.0067)
_first = _base_.codecs['MeanScaleHyperprior']


def _search(steps=30, model='machines'):
    return dict(
        steps=steps,
        readers=[
            dict(type='mmhmc.HostReader', config=model, at_own_size=True)
        ])


_second = dict(
    codec='configs/cheng2020/cheng2020-attn_pictures.py',
    points={
        f'lmbda{lmbda}':
        dict(checkpoint=f'mmhmc://cheng2020-attn_pictures_{lmbda}')
        for lmbda in _lmbdas
    })
_name = 'cheng2020-attn_dynadapt_coco'


def _adapted(**searches):
    return dict(
        codec='configs/hmc/yolox-nano_dynadapt_coco_cheng2020-attn.py',
        points={
            f'lmbda{lmbda}':
            dict(
                checkpoint=f'mmhmc://{_name}_{lmbda}',
                **searches.get(str(lmbda), {}))
            for lmbda in _lmbdas
        },
        adapter=dict(type='mmhmc.DynamicAdaptation', width=32))


def _hevc(**importance):
    return dict(
        codec=dict(type='mmhmc.HEVCIntra', **importance),
        points={f'qp{qp}': dict(quality=qp)
                for qp in (47, 42, 37, 32)})


codecs = {
    'MeanScaleHyperprior, people':
    dict(_first, refinement=dict(steps=30)),
    'MeanScaleHyperprior, YOLOX-nano, 100 steps':
    dict(_first, refinement=_search(100)),
    'Cheng2020Attention':
    _second,
    'Cheng2020Attention, YOLOX-nano':
    dict(_second, refinement=_search()),
    'Cheng2020Attention, adapted':
    _adapted(),
    'Cheng2020Attention, adapted, YOLOX-nano':
    _adapted(
        **{
            str(lmbda): dict(refinement=_search(model=f'{_name}_{lmbda}'))
            for lmbda in _lmbdas
        }),
    'HEVC':
    _hevc(),
    'HEVC, map':
    _hevc(
        importance=dict(
            type='mmhmc.SketchMap', reader=_search()['readers'][0])),
}
