"""The hosts' own tools on mixed models: checkpoints and inferencers."""
import numpy as np
import pytest
import torch
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import load_checkpoint
from PIL import Image

from mmhmc.apis import mix_codec, read_config

CODEC = dict(
    type='mmhmc.ScaleHyperprior', hidden_channels=8, latent_channels=8)
#: Of each host a model that is quick on a CPU.
CONFIGS = dict(
    mmdet='mmdet::yolox/yolox_nano_8xb8-300e_coco.py',
    mmseg='mmseg::cgnet/cgnet_fcn_4xb4-60k_cityscapes-680x680.py',
    mmpretrain='mmpretrain::shufflenet_v2/'
    'shufflenet-v2-1x_16xb64_in1k.py')
every_host = pytest.mark.parametrize('host', CONFIGS)


def small(host):
    """Its config; the pipeline makes images of the same size for all."""
    pytest.importorskip(host)
    cfg = read_config(CONFIGS[host])
    for transform in cfg.test_dataloader.dataset.pipeline:
        if transform['type'] == 'Resize':
            transform['scale'] = (96, 64)
    return cfg


def built(cfg):
    scope = cfg.default_scope
    with DefaultScope.overwrite_default_scope(scope):
        model = cfg.model.copy()
        if 'data_preprocessor' in cfg:
            model.setdefault('data_preprocessor', cfg.data_preprocessor)
        return MODELS.build(model)


def saved(model, path):
    torch.save(
        dict(
            meta=dict(dataset_meta=dict(classes=[*map(str, range(1000))])),
            state_dict=model.state_dict()), path)
    return str(path)


@every_host
def test_host_checkpoint_loads_into_the_mixed_model(host, tmp_path,
                                                    monkeypatch):
    said = []
    monkeypatch.setattr('mmhmc.models.codec_backbone.print_log',
                        lambda message, **kwargs: said.append(message))
    cfg = small(host)
    bare = built(cfg)
    path = saved(bare, tmp_path / 'host.pth')
    model = built(mix_codec(cfg, CODEC))
    load_checkpoint(model, path, strict=True)
    state = model.state_dict()
    for key, value in bare.state_dict().items():
        inner = key.replace('backbone.', 'backbone.backbone.', 1)
        assert torch.equal(state[inner], value), key
    count = len(bare.backbone.state_dict())
    assert said == [
        f'Host checkpoint: {count} of {count} tensors of the backbone '
        f'{type(bare.backbone).__name__} taken; codec and adapter keep their '
        'own.'
    ]


@pytest.fixture
def mixed(host, tmp_path):
    """Files of a mixed config and its checkpoint, and of an image."""
    cfg = mix_codec(small(host), CODEC)
    model = built(cfg)
    model.backbone.codec.update_entropy_tables()
    cfg.dump(tmp_path / 'mixed.py')
    image = np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / 'image.png')
    # Inferencers set the scope for good.
    with DefaultScope.overwrite_default_scope(host):
        yield (str(tmp_path / 'mixed.py'), saved(model,
                                                 tmp_path / 'mixed.pth'),
               str(tmp_path / 'image.png'))


def passes(model):
    """How often the codec has been passed."""
    calls = []
    model.backbone.codec.register_forward_pre_hook(
        lambda module, args: calls.append(1))
    encode = model.backbone.codec.encode_latents
    model.backbone.codec.encode_latents = \
        lambda *args, **kwargs: calls.append(1) or encode(*args, **kwargs)
    return calls


@pytest.mark.parametrize('host', ['mmdet'])
@pytest.mark.filterwarnings('ignore')
def test_det_inferencer_works(mixed):
    from mmdet.apis import DetInferencer
    config, checkpoint, image = mixed
    inferencer = DetInferencer(
        config, checkpoint, device='cpu', show_progress=False)
    calls = passes(inferencer.model)
    results = inferencer(image, no_save_vis=True)
    assert set(results['predictions'][0]) == {'labels', 'scores', 'bboxes'}
    assert len(calls) == 1


@pytest.mark.parametrize('host', ['mmseg'])
@pytest.mark.filterwarnings('ignore')
def test_seg_inferencer_works(mixed):
    from mmseg.apis import MMSegInferencer
    config, checkpoint, image = mixed
    inferencer = MMSegInferencer(
        config,
        checkpoint,
        classes=['a', 'b'],
        palette=[[0, 0, 0], [9, 9, 9]],
        device='cpu')
    calls = passes(inferencer.model)
    results = inferencer(image, return_datasamples=True)
    assert results.pred_sem_seg.data.shape == (1, 60, 90)
    assert len(calls) == 1


@pytest.mark.parametrize('host', ['mmpretrain'])
@pytest.mark.filterwarnings('ignore')
def test_classification_inferencer_works(mixed):
    from mmpretrain.apis import ImageClassificationInferencer
    config, checkpoint, image = mixed
    inferencer = ImageClassificationInferencer(
        config, pretrained=checkpoint, device='cpu')
    calls = passes(inferencer.model)
    result, = inferencer(image)
    assert result['pred_scores'].shape == (1000, )
    assert len(calls) == 1
