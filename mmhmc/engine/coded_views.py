"""What the data samples are told of the coding, and which view it is of.

While testing, the bits of an image are counted once: of sliding windows those
of the whole image, which is coded before the windows are cut; of test-time
augmentation those of the first view.
"""
from collections.abc import Callable, Sequence
from dataclasses import replace

from mmengine.structures import BaseDataElement
from torch import nn

from mmhmc.models import CodecBackbone, LatentBackbone
from mmhmc.structures import CodedBatch, CodedImage
from .parts import frames_of


def cuts_windows(model: nn.Module) -> bool:
    """Whether a host predicts by sliding windows, as mmseg's may.

    Raises:
        ValueError: If its backbone encodes whole images only: every window
            would have bits of its own, and no image has.
    """
    test_cfg = getattr(model, 'test_cfg', None)
    if not isinstance(test_cfg, dict) or test_cfg.get('mode') != 'slide':
        return False
    backbone = getattr(model, 'backbone', None)
    if isinstance(backbone, LatentBackbone):
        raise ValueError(
            'An mmhmc.LatentBackbone codes whole images, but this model '
            "predicts by sliding windows; set `model.test_cfg.mode='whole'`.")
    return isinstance(backbone, CodecBackbone)


def count_first_view(merge_preds: Callable) -> Callable:
    """A host's ``merge_preds`` after which an image has the coding of its
    first view.

    Hosts merge their predictions into the first view, or into the last.
    """

    def merge(data_samples_list: list):
        for views in data_samples_list:
            coding = views[0].metainfo.get('coding')
            if coding is None:
                continue
            coding = replace(coding, view=f'first of {len(views)} views')
            for view in views:
                view.set_field(coding, 'coding', field_type='metainfo')
        return merge_preds(data_samples_list)

    return merge


def describe_coding(samples: Sequence, records: Sequence[CodedBatch]) -> bool:
    """Give each data sample its ``coding`` field.

    One batch may hold all images, or several hold them one after another
    (the frames of a video). Otherwise nothing says which image belongs to
    which sample, and the field is None.

    Returns:
        Whether the images belong to the samples.
    """
    samples = [s for s in frames_of(samples) if isinstance(s, BaseDataElement)]
    one_for_all = [r for r in records if len(r.sizes) == len(samples)][:1]
    images = [(r, i) for r in one_for_all or records
              for i in range(len(r.sizes))]
    belong = len(images) == len(samples)
    for n, sample in enumerate(samples):
        coding = _coded_image(*images[n], sample) if belong else None
        sample.set_field(coding, 'coding', field_type='metainfo')
    return belong


def _coded_image(coded: CodedBatch, i: int,
                 sample: BaseDataElement) -> CodedImage:
    """Image ``i`` of a batch, without padding."""
    h, w = size = coded.sizes[i]
    return CodedImage(
        coded.bits[i].item(),
        coded.num_bytes[i],
        size,
        tuple(sample.metainfo.get('ori_shape', size)[:2]),
        coded.x[i, :, :h, :w],
        None if coded.x_hat is None else coded.x_hat[i, :, :h, :w],
        stream_bytes=coded.stream_bytes[i] if coded.stream_bytes else {})
