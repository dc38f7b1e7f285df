import pytest
import torch
from conftest import CODECS, PREPROCESSOR, TinyBackbone, batch_of, tiny_codec
from mmengine.registry import MODELS

from mmhmc.codecs import IdentityCodec
from mmhmc.engine import RateLossHook
from mmhmc.models import CodecBackbone, CodecModel
from mmhmc.structures import CodedBatch

SIZES = [(64, 64), (48, 40)]


@pytest.fixture
def model():
    return CodecModel(tiny_codec('ScaleHyperprior'))


def packed(model, training):
    return model.data_preprocessor(batch_of(*SIZES), training=training)


def test_tensor_mode_gives_the_coded_batch(model):
    data = packed(model, training=False)
    coded = model.eval()(**data)
    assert isinstance(coded, CodedBatch)
    # Images are loaded as BGR.
    assert torch.equal(coded.x[0], data['inputs'][0] / 255)
    assert torch.equal(coded.x[0], batch_of(*SIZES)['inputs'][0].flip(0) / 255)
    assert torch.equal(coded.x_bar, coded.x_hat)
    assert None not in coded.num_bytes


def test_losses_come_from_the_hook(model):
    with pytest.raises(RuntimeError, match='come from RateLossHook; add'):
        model.train()(**packed(model, training=True), mode='loss')
    RateLossHook().attach(model)
    losses = model(**packed(model, training=True), mode='loss')
    assert losses.keys() == {'loss_rate', 'loss_distortion', 'bpp', 'psnr'}
    model.parse_losses(losses)[0].backward()
    assert model.codec.g_a[0].weight.grad.any()


def test_predict_mode_returns_the_samples_with_their_coding(model):
    data = packed(model.eval(), training=False)
    assert model(**data, mode='predict') is data['data_samples']
    RateLossHook().attach(model)
    samples = model(**data, mode='predict')
    assert [s.coding.coded_size for s in samples] == SIZES


def test_unknown_mode_is_refused(model):
    with pytest.raises(ValueError, match="or 'predict', got 'train'"):
        model(**packed(model, training=True), mode='train')


def test_it_is_built_from_a_config():
    model = MODELS.build(
        dict(
            type='mmhmc.CodecModel',
            codec=dict(type='mmhmc.IdentityCodec'),
            data_preprocessor=PREPROCESSOR,
            test_cfg=dict(real_bits=False)))
    assert isinstance(model.codec, IdentityCodec)
    assert not model.test_cfg['real_bits'] and model.test_cfg['adapter']
    x = model.eval()(**packed(model, training=False)).x
    expected = batch_of(*SIZES)['inputs'][0].flip(0) / 255
    torch.testing.assert_close(x[0], expected, rtol=0, atol=1e-6)


def test_trained_codec_enters_a_backbone_by_init_cfg(model, tmp_path):
    path = str(tmp_path / 'codec.pth')
    torch.save(dict(meta=dict(), state_dict=model.state_dict()), path)
    backbone = CodecBackbone(
        dict(
            type='mmhmc.ScaleHyperprior',
            **CODECS['ScaleHyperprior'],
            init_cfg=dict(type='Pretrained', checkpoint=path,
                          prefix='codec.')), TinyBackbone(), PREPROCESSOR)
    backbone.init_weights()
    for key, value in model.codec.state_dict().items():
        assert torch.equal(backbone.codec.state_dict()[key], value), key
