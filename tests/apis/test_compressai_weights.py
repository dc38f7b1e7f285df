"""Checkpoints that were trained with CompressAI become codecs."""
import pytest
import torch
from compressai.models import (Cheng2020Anchor, Cheng2020Attention,
                               FactorizedPrior, FactorizedPriorReLU,
                               JointAutoregressiveHierarchicalPriors,
                               JointAutoregressiveHierarchicalPriorsVbr,
                               MeanScaleHyperprior, MeanScaleHyperpriorVbr,
                               ScaleHyperprior, ScaleHyperpriorVbr)
from compressai.models.sensetime import (Cheng2020AnchorCheckerboard,
                                         Elic2022Official)
from conftest import smooth_images

from mmhmc.apis import load_codec
from mmhmc.apis.compressai_weights import (codec_of_compressai,
                                           export_compressai_weights)
from mmhmc.structures import CodingCondition

NETWORKS = dict(
    FactorizedPrior=lambda: FactorizedPrior(8, 12),
    ScaleHyperprior=lambda: ScaleHyperprior(8, 12),
    MeanScaleHyperprior=lambda: MeanScaleHyperprior(8, 12),
    JointAutoregressive=lambda: JointAutoregressiveHierarchicalPriors(8, 12),
    Cheng2020Anchor=lambda: Cheng2020Anchor(8),
    Cheng2020Attention=lambda: Cheng2020Attention(8),
    # Release 1.2.6 has wider contexts for the last group.
    ELIC=lambda: Elic2022Official(8, 48, [2, 2, 4, 8, 32]))

VARIABLE = dict(
    ScaleHyperpriorVBR=lambda: ScaleHyperpriorVbr(8, 12, vr_entbttlnck=True),
    MeanScaleHyperpriorVBR=lambda: MeanScaleHyperpriorVbr(
        8, 12, vr_entbttlnck=True),
    JointAutoregressiveVBR=lambda: JointAutoregressiveHierarchicalPriorsVbr(
        8, 12))


@pytest.mark.parametrize('kind', NETWORKS)
@pytest.mark.parametrize('updated', [False, True])
def test_codec_is_found_and_decodes_what_the_network_does(
        kind, updated, tmp_path):
    torch.manual_seed(0)
    network = NETWORKS[kind]().eval()
    if updated:
        network.update(force=True)
    torch.save(network.state_dict(), tmp_path / 'a.pth.tar')
    out, config = export_compressai_weights(tmp_path / 'a.pth.tar',
                                            tmp_path / 'a.safetensors')
    codec = load_codec(config, cfg_options={'codec.portable': False})
    assert type(codec).__name__ == kind
    x = smooth_images(1, 64, 64)
    with torch.no_grad():
        assert torch.equal(codec.g_a(x), network.g_a(x))
        y_hat = network.g_a(x).round()
        assert torch.equal(codec.g_s(y_hat), network.g_s(y_hat))
    quantiles = next(value for key, value in network.state_dict().items()
                     if key.endswith('quantiles'))
    assert torch.equal(codec.entropy_bottleneck.quantiles, quantiles)
    if kind != 'FactorizedPrior':
        levels = len(codec.gaussian_conditional.scale_table)
        assert levels == (64 if updated else 256)


@pytest.mark.parametrize('kind, network', VARIABLE.items())
@pytest.mark.parametrize('updated', [False, True])
def test_codec_with_all_rates_is_found_and_codes_at_each(
        kind, network, updated, tmp_path):
    torch.manual_seed(0)
    network = network().eval()
    if updated:
        network.update(force=True)
    torch.save(network.state_dict(), tmp_path / 'a.pth.tar')
    _, config = export_compressai_weights(tmp_path / 'a.pth.tar',
                                          tmp_path / 'a.safetensors')
    codec = load_codec(config, cfg_options={'codec.portable': False})
    assert type(codec).__name__ == kind
    x = smooth_images(1, 64, 64)
    for quality in (1, 8):
        stream, = codec.compress(x, CodingCondition(quality=quality))
        with torch.no_grad():
            expected = network(x, s=quality - 1)['x_hat'].clamp(0, 1)
        torch.testing.assert_close(codec.decompress([stream]), expected)


def test_elic_is_compressais_to_the_last_bit(tmp_path):
    torch.manual_seed(0)
    network = NETWORKS['ELIC']().eval()
    state = network.state_dict()
    settings = codec_of_compressai(state, 'a')
    assert settings['groups'] == [2, 2, 4, 8, 32]
    # Of which width they are depends on the release.
    context = network.latent_codec['y'].channel_context
    assert settings['context_channels'] == [(context[f'y{k}'][0].out_channels,
                                             context[f'y{k}'][2].out_channels)
                                            for k in range(1, 5)]
    torch.save(state, tmp_path / 'a.pth')
    _, config = export_compressai_weights(tmp_path / 'a.pth',
                                          tmp_path / 'a.safetensors')
    codec = load_codec(config, cfg_options={'codec.portable': False})
    x = 20 * smooth_images(1, 64, 128)
    with torch.no_grad():
        output, expected = codec(x), network(x)
    assert output.y_hat.unique().numel() > 3
    assert torch.equal(output.x_hat, expected['x_hat'])
    for name, likelihoods in expected['likelihoods'].items():
        assert torch.equal(output.likelihoods[name], likelihoods)


def test_former_names_of_layers_are_known(tmp_path):
    network = Cheng2020Anchor(8)
    state = {
        f'module.{key}'.replace('.skip.', '.downsample.'): value
        for key, value in network.state_dict().items()
    }
    torch.save(dict(state_dict=state, epoch=1), tmp_path / 'a.pth')
    _, config = export_compressai_weights(tmp_path / 'a.pth',
                                          tmp_path / 'a.safetensors')
    assert torch.equal(
        load_codec(config).g_a[0].skip.weight, network.g_a[0].skip.weight)


@pytest.mark.parametrize('network', [
    lambda: FactorizedPriorReLU(8, 8), lambda: ScaleHyperpriorVbr(8, 8),
    lambda: Cheng2020AnchorCheckerboard(8), lambda: torch.nn.Linear(1, 1)
])
def test_networks_without_codec_are_refused(network, tmp_path):
    torch.save(network().state_dict(), tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='a codec for, which are bmshj2018'):
        export_compressai_weights(tmp_path / 'a.pth',
                                  tmp_path / 'a.safetensors')
    assert not (tmp_path / 'a.safetensors').exists()


def test_config_of_another_width_says_where(tmp_path):
    torch.save(MeanScaleHyperprior(8, 12).state_dict(), tmp_path / 'a.pth')
    codec = dict(
        type='mmhmc.MeanScaleHyperprior', hidden_channels=8, latent_channels=8)
    with pytest.raises(ValueError, match='size mismatch for .*12.*8'):
        export_compressai_weights(tmp_path / 'a.pth',
                                  tmp_path / 'a.safetensors', codec)
