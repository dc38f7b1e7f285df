"""One trained model on its test images: adapted, not adapted, uncompressed.

.. code-block:: none

    config + checkpoint ─┬─► as it is ──────────► with adaptation
                         ├─► adapter off ───────► without, at equal bits
                         └─► IdentityCodec ─────► uncompressed
"""
import json
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from torch import Tensor

from mmhmc.functional import crop_to, extend_edges, padded_size, to_pixels
from mmhmc.registry import type_name
from mmhmc.visualization import Instances, PanelRow, bits_map, draw_panel
from mmhmc.whole_files import write_whole
from .checkpoint_parts import complete_model
from .mixing import metrics_of
from .training import build_runner

_COLUMNS = {
    'coco/bbox_mAP': 'box AP',
    'coco/bbox_mAP_50': 'box AP50',
    'coco/segm_mAP': 'mask AP',
    'coco/segm_mAP_50': 'mask AP50',
    'rate/bpp_estimated': 'bpp est.',
    'rate/bpp': 'bpp real',
    'quality/psnr': 'PSNR',
    'quality/ms_ssim': 'MS-SSIM'
}


def compare_adaptation(cfg: Config,
                       checkpoint: str,
                       out_dir: str | Path,
                       num_images: int = 4) -> dict[str, dict[str, float]]:
    """Test three ways and draw some images.

    Writes ``comparison.json`` with all metrics, ``comparison.md`` with the
    table, ``rate_with.json`` with each image's bytes, and
    ``comparison.png``: image, decoded, adapted, where the bits went, true
    objects, objects found.

    Args:
        cfg: Config of a detector behind a ``CodecBackbone``.
        checkpoint: Its checkpoint.
        out_dir: Folder for the files.
        num_images: Rows of the PNG; 0 for none.

    Returns:
        The metrics of ``with adaptation``, ``without adaptation`` and
        ``uncompressed``.
    """
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    results, runners = {}, {}
    for name, variant in _variants(cfg, out_dir).items():
        runners[name] = _build_runner(variant, checkpoint, out_dir)
        metrics = runners[name].test()
        if name == 'uncompressed':
            # No bits and no loss: the numbers would only mislead.
            metrics = {k: v for k, v in metrics.items() if 'coco' in k}
        results[name] = metrics
    write_whole(out_dir / 'comparison.json',
                json.dumps(results, indent=1).encode())
    write_whole(out_dir / 'comparison.md', format_table(results).encode())
    if num_images:
        first = next(iter(results))
        draw_comparison(runners[first], runners['uncompressed'],
                        out_dir / 'comparison.png', num_images)
    return results


def format_table(results: dict[str, dict[str, float]]) -> str:
    """Metrics as a Markdown table, one row each."""
    columns = {
        key: title
        for key, title in _COLUMNS.items()
        if any(key in metrics for metrics in results.values())
    }
    lines = ['| | ' + ' | '.join(columns.values()) + ' |']
    lines.append('|---' * (len(columns) + 1) + '|')
    for name, metrics in results.items():
        cells = (f'{metrics[key]:.4g}' if key in metrics else '-'
                 for key in columns)
        lines.append(f'| {name} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


def _variants(cfg: Config, out_dir: Path) -> dict[str, Config]:
    adapted, plain, bare = (deepcopy(cfg) for _ in range(3))
    plain.merge_from_dict({'model.backbone.test_cfg.adapter': False})
    bare.model.backbone.codec = ConfigDict(type='mmhmc.IdentityCodec')
    bare.model.backbone.adapter = None
    variants = {'without adaptation': plain, 'uncompressed': bare}
    if cfg.model.backbone.get('adapter') is not None:
        variants = {'with adaptation': adapted, **variants}
    for name, variant in variants.items():
        for evaluator in metrics_of(variant.test_evaluator):
            if type_name(evaluator) == 'BitrateMetric':
                file = f'rate_{name.split()[0]}.json'
                evaluator['out_file'] = str(out_dir / file)
    return variants


def _build_runner(cfg: Config, checkpoint: str, out_dir: Path):
    host = cfg.get('load_from')
    cfg.load_from = checkpoint
    cfg.work_dir = str(out_dir)
    # Only testing: nothing of the training is built or checked.
    for key in list(cfg):
        training = key in ('optim_wrapper', 'param_scheduler')
        if training or key.startswith(('train_', 'val_')):
            cfg.pop(key)
    runner = build_runner(cfg)
    complete_model(runner.model, checkpoint, host)
    return runner


@torch.no_grad()
def draw_comparison(runner, bare_runner, out_file: Path, count: int) -> None:
    """Draw images of a test set, evenly chosen.

    Args:
        runner: Has tested the model.
        bare_runner: Has tested it on uncompressed images.
        out_file: PNG.
        count: Images.
    """
    dataset = runner.test_dataloader.dataset
    chosen = np.linspace(0, len(dataset) - 1, min(count, len(dataset)))
    rows = [
        _row(runner.model, bare_runner.model, dataset[int(i)]) for i in chosen
    ]
    draw_panel(rows, dataset.metainfo['classes'], out_file)


def _row(model, bare_model, item: dict) -> PanelRow:
    coder = model.backbone
    sample = item['data_samples']
    size = tuple(sample.img_shape[:2])
    truth = _true_instances(sample.gt_instances, size)
    # Objects are to be found on the image that was coded, not on the one
    # before the resize.
    sample.set_metainfo(dict(scale_factor=(1., 1.), ori_shape=size))
    data = model.data_preprocessor(pseudo_collate([item]), False)
    with coder.recording([(data['inputs'], [size])]) as records:
        found = _instances(model(**data, mode='predict')[0])
    coded = records[0]
    plain = _instances(bare_model.test_step(pseudo_collate([item]))[0])
    target = padded_size(size, coder.codec.downsampling_factor)
    output = coder.codec.encode_latents(
        extend_edges(coded.x, coded.sizes, target), coded.condition)
    x, x_hat, x_bar = (
        to_pixels(crop_to(image, size)[0])
        for image in (coded.x, coded.x_hat, coded.x_bar))
    return PanelRow(
        image=x,
        x_hat=x_hat,
        x_bar=x_bar if coder.uses_adapter else None,
        bpp=8 * coded.num_bytes[0] / (size[0] * size[1]),
        bits=bits_map(output.likelihoods, target).numpy(),
        bits_size=target,
        ground_truth=truth,
        predictions=dict(image=plain, x_bar=found)
        if coder.uses_adapter else dict(image=plain, x_hat=found),
        name=Path(sample.img_path).name)


def _true_instances(instances, size: tuple[int, int]) -> Instances:
    """Annotations, which pipelines load before or after the resize."""
    masks = instances.masks
    height, width = masks.height, masks.width
    boxes = instances.bboxes
    boxes = boxes if isinstance(boxes, Tensor) else boxes.tensor
    scale = np.array([size[1] / width, size[0] / height] * 2)
    return Instances(boxes.cpu().numpy() * scale,
                     instances.labels.cpu().numpy(),
                     masks.resize(size).to_ndarray().astype(bool))


def _instances(sample) -> Instances:
    found = sample.pred_instances
    return Instances(found.bboxes.cpu().numpy(),
                     found.labels.cpu().numpy(),
                     found.masks.bool().cpu().numpy(),
                     found.scores.cpu().numpy())
