"""What joint training costs over its parts.

Times training steps (forward, backward, optimizer) of the codec alone, the
detector alone and both together, all parts trained, on one batch, in one
process, in turns; the ratio is joint / (codec + detector).
"""
import statistics
import time
from collections.abc import Callable
from copy import deepcopy

from mmhmc.apis.command import run_tool, tool_parser
from mmhmc.machine import tune_cpu

tune_cpu()  # before torch is loaded

import torch  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402

from mmhmc.apis.mixing import host_of  # noqa: E402
from mmhmc.apis.training import load_config, prepare_data  # noqa: E402
from mmhmc.engine import RateLossHook  # noqa: E402
from mmhmc.models import CodecModel  # noqa: E402
from mmhmc.registry import MODELS  # noqa: E402


def build_models(cfg: Config) -> dict[str, torch.nn.Module]:
    """Codec, detector, and the detector behind the codec."""
    joint = deepcopy(cfg.model)
    backbone = joint.backbone
    backbone.adapter = None
    backbone.codec.pop('init_cfg', None)
    detector = joint.copy()
    detector.backbone = backbone.backbone
    build = MODELS.parent.build
    rgb = dict(type='ImgDataPreprocessor', bgr_to_rgb=True)
    return dict(
        codec=CodecModel(backbone.codec, rgb),
        detector=build(detector),
        joint=build(joint))


def make_step(model: torch.nn.Module, batch: dict) -> Callable[[], None]:
    """A training step on always the same batch."""
    model.train()
    optimizer = torch.optim.Adam(
        [p for p in model.parameters() if p.requires_grad], lr=1e-5)
    if any(hasattr(m, 'code_images') for m in model.modules()):
        RateLossHook().attach(model)
    data = model.data_preprocessor(
        dict(
            inputs=[one.clone() for one in batch['inputs']],
            data_samples=batch['data_samples']),
        training=False)

    def step() -> None:
        loss, _ = model.parse_losses(model(**data, mode='loss'))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    return step


def main() -> None:
    """Measure and print."""
    parser = tool_parser(__doc__)
    parser.add_argument(
        'config',
        nargs='?',
        default='configs/hmc/mask-rcnn_dynadapt_sample.py')
    parser.add_argument('--repeats', type=int, default=12)
    args = parser.parse_args()
    cfg = load_config(args.config)
    prepare_data(cfg)
    init_default_scope(host_of(cfg))
    from mmengine.runner import Runner
    batch = next(iter(Runner.build_dataloader(cfg.train_dataloader, seed=0)))
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    steps = {
        name: make_step(model.to(device), batch)
        for name, model in build_models(cfg).items()
    }
    seconds = {name: [] for name in steps}
    for repeat in range(args.repeats + 2):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            # The first two warm up.
            if repeat >= 2:
                seconds[name].append(time.perf_counter() - start)
    median = {name: statistics.median(s) for name, s in seconds.items()}
    size = tuple(batch['inputs'][0].shape[-2:])
    print(f'{args.config}: batch of {len(batch["inputs"])}, first image '
          f'{size}, {device}, {torch.get_num_threads()} threads, median of '
          f'{args.repeats}')
    for name in steps:
        print(f'{name:>9} {1000 * median[name]:8.1f} ms   '
              f'({1000 * min(seconds[name]):.1f} to '
              f'{1000 * max(seconds[name]):.1f})')
    ratio = median['joint'] / (median['codec'] + median['detector'])
    print(f'joint / (codec + detector) = {ratio:.3f}')


if __name__ == '__main__':
    run_tool(main)
