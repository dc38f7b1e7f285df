"""A file of every learned codec, fixed: what decodes it may not change.

Codecs have weights by formula, so that no generator or kernel has a part in
them; their tables are in the file with the streams, for those are made in
floating point. A changed digest means that stored files decode to something
else: after a deliberate change, with another name of the arithmetic::

    PYTHONPATH=.:tests python tests/codecs/test_golden_streams.py
"""
import hashlib
import json
import math
from pathlib import Path

import pytest
import torch
from conftest import CODECS
from torch import nn

from mmhmc.bitstream import Bitstream
from mmhmc.codecs import build_codec
from mmhmc.structures import CodingCondition

EXPECTED = Path(__file__).parents[1] / 'expected/golden_streams.json'
#: Codecs with a quality, between two that have gains of their own.
CONDITIONS = dict(
    DCVCUFIntra=CodingCondition(quality=1.75),
    JointAutoregressiveVBR=CodingCondition(quality=3.5),
    MeanScaleHyperpriorVBR=CodingCondition(quality=3.5),
    MPA=CodingCondition(quality=4.5),
    ScaleHyperpriorVBR=CodingCondition(quality=3.5))
TABLES = ('_quantized_cdf', '_offset', '_cdf_length', 'scale_table',
          'quantiles')


def by_formula(name):
    """A codec whose latents and scales are not small, without tables."""
    codec = build_codec(dict(type=f'mmhmc.{name}', **CODECS[name])).eval()
    with torch.no_grad():
        for key, parameter in codec.named_parameters():
            count = torch.arange(parameter.numel(), dtype=torch.float64)
            values = (count * 37 % 101 - 50) / 101
            if parameter.ndim > 1 and 'bottleneck' not in key:
                # Exact in float32, whatever computes it.
                fan = parameter[0].numel()
                values = values * 2.0**(1 - round(math.log2(fan) / 2))
            elif 'norm' in key and key.endswith('weight'):
                values = 1 + values / 4
            parameter.copy_(values.view(parameter.shape))
        for layer in codec.modules():
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                layer.bias.add_(0.5)
            if hasattr(layer, 'mask'):
                layer.weight.mul_(layer.mask)
    return codec


def x():
    """An image by formula, RGB in [0, 1], (1, 3, 70, 100)."""
    count = torch.arange(3 * 70 * 100).view(1, 3, 70, 100)
    return (count * 7 % 256).float() / 255


def digest(y_hat):
    content = y_hat.detach().contiguous().numpy().tobytes()
    return hashlib.sha256(content).hexdigest()


def tables_of(codec):
    return {
        key: value
        for key, value in codec.state_dict().items() if key.endswith(TABLES)
    }


def written(name):
    """What is stored of a codec."""
    codec = by_formula(name)
    codec.update_entropy_tables()
    if hasattr(codec, 'gaussian_conditional'):
        # Few tables, for all are stored.
        codec.gaussian_conditional.update_scale_table(
            2.0**torch.arange(-2, 5), force=True)
    stream, = codec.compress(x(), CONDITIONS.get(name))
    return dict(
        file=stream.to_bytes().hex(),
        y_hat=digest(codec.read(stream)),
        tables={
            key: [str(value.dtype)[6:], value.tolist()]
            for key, value in tables_of(codec).items()
        })


@pytest.fixture(scope='module')
def golden():
    return json.loads(EXPECTED.read_text())


@pytest.mark.parametrize('threads', [1, 2, 4])
@pytest.mark.parametrize('name', CODECS)
def test_stored_file_decodes_to_what_it_has_always_decoded_to(
        golden, name, threads):
    stored, codec = golden[name], by_formula(name)
    state = codec.state_dict()
    for key, (dtype, values) in stored['tables'].items():
        state[key] = torch.tensor(values, dtype=getattr(torch, dtype))
    codec.load_state_dict(state)
    stream = Bitstream.from_bytes(bytes.fromhex(stored['file']))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert digest(codec.read(stream)) == stored['y_hat']
    finally:
        torch.set_num_threads(before)


if __name__ == '__main__':
    EXPECTED.write_text(
        json.dumps({name: written(name)
                    for name in CODECS}) + '\n')
