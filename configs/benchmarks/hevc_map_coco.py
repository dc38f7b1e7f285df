"""HEVC with a map of the pixels that move YOLOX-nano's features, on COCO val.

The QP of each block follows the map: the rival of a searched latent among
standard codecs. Eight passes of the detector give the map of an image.
`data/coco_sample` holds `instances_val.json` and `images/`.
"""
_base_ = ['../_base_/benchmarks/yolox_nano_coco.py']
anchor = 'HEVC'
protocol = 'in the model'


def _hevc(**importance):
    return dict(
        codec=dict(type='mmhmc.HEVCIntra', **importance),
        points={f'qp{qp}': dict(quality=qp)
                for qp in (47, 42, 37, 32)})


codecs = {
    'HEVC':
    _hevc(),
    'HEVC, map':
    _hevc(
        importance=dict(
            type='mmhmc.SketchMap',
            reader=dict(
                type='mmhmc.HostReader', config='machines',
                at_own_size=True))),
}
