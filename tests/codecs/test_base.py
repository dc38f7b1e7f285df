import pytest
from conftest import CODECS

from mmhmc.codecs import IdentityCodec, ImageCodec, build_codec


def test_built_codec_is_returned_as_it_is():
    codec = IdentityCodec()
    assert build_codec(codec) is codec


@pytest.mark.parametrize('name', CODECS)
def test_codec_is_built_from_its_config(name):
    codec = build_codec(dict(type=f'mmhmc.{name}', **CODECS[name]))
    assert type(codec).__name__ == name
    assert isinstance(codec, ImageCodec)


@pytest.mark.parametrize('wrong, right', [
    ('mmhmc.MeanScaleHyperpior', 'MeanScaleHyperprior'),
    ('mmhmc.Cheng2020Attn', 'Cheng2020Attention'),
    ('JointAutoregresive', 'JointAutoregressive'),
])
def test_unknown_codec_is_refused_with_a_suggestion(wrong, right):
    with pytest.raises(
            ValueError,
            match=f"no codec '{wrong}'; the codecs are AVIF, .*"
            rf'Did you mean mmhmc\.{right}\?'):
        build_codec(dict(type=wrong))


@pytest.mark.parametrize('name', ['mmhmc.Zzz', 'zzz.ScaleHyperprior'])
def test_unknown_codec_without_a_near_one_lists_them(name):
    with pytest.raises(ValueError, match=f'{name}.* written mmhmc.NAME'):
        build_codec(dict(type=name))


def test_other_module_is_no_codec():
    with pytest.raises(TypeError, match='is a DynamicAdaptation, not a codec'):
        build_codec(dict(type='mmhmc.DynamicAdaptation', width=2))


@pytest.mark.parametrize('codec', [None, 'mmhmc.IdentityCodec', dict(), 5])
def test_what_is_no_codec_and_no_config_is_refused(codec):
    with pytest.raises(TypeError, match='must be an ImageCodec or a config'):
        build_codec(codec)


def test_codec_must_keep_the_whole_contract():

    class Half(ImageCodec):

        def encode_latents(self, x, condition=None):
            return x

    with pytest.raises(TypeError, match='abstract'):
        Half()
