"""The stages of the table of costs, on models in miniature."""
import importlib.util
import time
from pathlib import Path

import pytest
import torch
from conftest import smooth_images, tiny_codec
from mmengine.model import BaseModel
from torch import nn

from mmhmc.models import CompressedDomainNeck

PATH = Path(__file__).parents[2] / 'dev/latent_cost.py'
SIZE = (40, 70)


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('latent_cost', PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Host(BaseModel):
    scope = 'mmseg'

    def __init__(self, backbone, neck):
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.head = nn.Conv2d(4, 1, 1)

    def extract_feat(self, inputs):
        return self.neck(self.backbone(inputs))

    def forward(self, inputs, data_samples, mode):
        return self.head(self.extract_feat(inputs)[0])


class Strided(nn.Conv2d):

    def __init__(self):
        super().__init__(3, 4, 1, stride=8)

    def forward(self, inputs):
        return (super().forward(inputs), )


@pytest.fixture(scope='module')
def models(tool):
    torch.manual_seed(0)
    codec = tiny_codec('MeanScaleHyperprior')
    stream, = codec.compress(smooth_images(1, *SIZE))
    data = stream.to_bytes()

    def host(neck, *backbone):
        return Host(tool.ReadBackbone(codec, data, *backbone), neck).eval()

    return {
        'decode first': host(nn.Identity(), Strided()),
        'latent': host(CompressedDomainNeck(8, 4, (8, ), num_blocks=0))
    }


def test_only_the_stages_before_the_heads_differ(tool, models):
    first, latent = (tool.kmacs(models[way], SIZE) for way in tool.WAYS)
    assert first['read'] == latent['read'] > 0
    assert first['image'] > latent['image'] == 0
    assert first['heads'] == latent['heads'] > 0
    # 1x1 convolutions on 5x9 positions.
    assert 1000 * 40 * 70 * first['features'] == pytest.approx(3 * 4 * 45)
    assert 1000 * 40 * 70 * latent['heads'] == pytest.approx(4 * 1 * 45)


def test_every_stage_takes_time(tool, models):
    timed = tool.milliseconds(models, SIZE, repeats=2)
    assert timed['latent']['image'] == 0
    assert all(timed['decode first'][stage] > 0 for stage in tool.STAGES)


def test_meter_adds_up_what_passes_between_marks(tool):
    meter = tool.Meter(iter([1., 3., 4., 10.]).__next__)
    for stage in ('read', 'heads', 'read'):
        meter.mark(stage)
    assert meter.spent == dict(read=8., image=0., features=0., heads=1.)
    assert tool.Meter(time.perf_counter).spent['read'] == 0


def test_rows_say_what_is_saved(tool):
    spent = dict(zip(tool.STAGES, (1., 2., 3., 4.)))
    rows = tool.rows_of('ms', {
        'decode first': spent,
        'latent': {
            **spent, 'image': 0.,
            'features': 0.
        }
    })
    assert rows == [
        '| ms | decode first | 1.0 | 2.0 | 3.0 | 4.0 | **10.0** |  |',
        '| ms | latent | 1.0 | 0.0 | 0.0 | 4.0 | **5.0** | 50 % |'
    ]
