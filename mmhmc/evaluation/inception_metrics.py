"""Distances between the set of decoded images and the set of originals."""
from abc import abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from numpy import ndarray
from torch import Tensor

from mmhmc.former_names import former_arguments
from mmhmc.functional.devices import on_device_of
from mmhmc.registry import METRICS
from .bitrate_metric import coded_images
from .image_quality_metric import decoded

#: Maps 8-bit images (B, 3, H, W) to features (B, F).
Extractor = Callable[[Tensor], Tensor]


def frechet_distance(one: ndarray, other: ndarray) -> float:
    """Distance of two Gaussians that fit sets of features.

    Args:
        one: Features, shape (N, F), two or more.
        other: Shape (N', F).

    Returns:
        ``|m - m'|^2 + tr(C + C' - 2 (C C')^(1/2))``, not negative.

    Reference:
        M. Heusel, H. Ramsauer, T. Unterthiner, B. Nessler, S. Hochreiter:
        "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
        Equilibrium", NeurIPS 2017. https://arxiv.org/abs/1706.08500
    """
    one, other = one.astype(np.float64), other.astype(np.float64)
    difference = one.mean(0) - other.mean(0)
    first, second = (
        np.atleast_2d(np.cov(features, rowvar=False))
        for features in (one, other))
    # The eigenvalues of a product of covariances are not negative; rounding
    # says otherwise.
    roots = np.sqrt(np.linalg.eigvals(first @ second).real.clip(min=0)).sum()
    return max(
        0.,
        float(difference @ difference + np.trace(first) + np.trace(second) -
              2 * roots))


def kernel_distance(one: ndarray,
                    other: ndarray,
                    subset_size: int,
                    num_subsets: int = 100,
                    seed: int = 0) -> float:
    """Unbiased squared maximum mean discrepancy, mean over random subsets.

    Args:
        one: Features, shape (N, F).
        other: Shape (N', F).
        subset_size: Features of each set in a subset, from 2 to N and N'.
        num_subsets: Number of subsets.
        seed: Of what is drawn.

    Returns:
        By the kernel ``(x y / F + 1)^3``; may be slightly negative.

    Raises:
        ValueError: If a subset does not fit.

    Reference:
        M. Bińkowski, D. J. Sutherland, M. Arbel, A. Gretton: "Demystifying
        MMD GANs", ICLR 2018. https://arxiv.org/abs/1801.01401
    """
    count = min(len(one), len(other))
    if not 2 <= subset_size <= count:
        raise ValueError(f'`subset_size` must be from 2 to {count}, the '
                         f'number of features, got {subset_size}.')
    generator = np.random.default_rng(seed)
    estimates = []
    for _ in range(num_subsets):
        x, y = (
            features[generator.choice(
                len(features), subset_size, replace=False)].astype(np.float64)
            for features in (one, other))
        within = _kernel(x, x) + _kernel(y, y)
        pairs = subset_size * (subset_size - 1)
        estimates.append((within.sum() - np.trace(within)) / pairs -
                         2 * _kernel(x, y).mean())
    return float(np.mean(estimates))


def _kernel(x: ndarray, y: ndarray) -> ndarray:
    return (x @ y.T / x.shape[1] + 1)**3


def inception_features() -> Extractor:
    """The pool features of Inception that published FID values are made of.

    Raises:
        ImportError: If torchmetrics or torch-fidelity is missing.
        RuntimeError: If the weights cannot be had.
    """
    try:
        from torchmetrics.image.fid import NoTrainInceptionV3
        network = NoTrainInceptionV3('inception-v3-compat', ['2048'])
    except (ImportError, ModuleNotFoundError) as error:
        raise ImportError(
            'FID and KID need the packages `torchmetrics` and '
            '`torch-fidelity`: `pip install -r requirements/perceptual.txt`.'
        ) from error
    except OSError as error:
        raise RuntimeError(
            'The weights of Inception, which torch-fidelity fetches when they '
            f'are first used, could not be had: {error}. Run it once with a '
            'connection, or leave the metric out.') from error
    return network.eval()


class _InceptionMetric(BaseMetric):
    """A distance of the features of the first images of a test set."""

    default_prefix = 'quality'
    name: str

    @former_arguments(num_pictures='num_images')
    def __init__(self,
                 num_images: int = 2000,
                 extractor: Extractor | None = None,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        if num_images < 2:
            raise ValueError('`num_images` must be at least 2, got '
                             f'{num_images}.')
        self.num_images = num_images
        self.extractor = extractor or inception_features()

    @torch.no_grad()
    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Find the features of each image and of what was decoded.

        Raises:
            KeyError: If a sample has not been coded.
            RuntimeError: If its image has not been decoded.
        """
        for sample in data_samples:
            self.results.append([
                tuple(
                    self._features(one) for one in (image.x, decoded(image)))
                for _, image in coded_images(sample)
            ])

    def _features(self, x: Tensor) -> ndarray:
        pixels = (x[None].float().clamp(0, 1) * 255).round().byte()
        return on_device_of(self.extractor,
                            pixels)(pixels)[0].float().cpu().numpy()

    def compute_metrics(self, results: list[list[tuple]]) -> dict[str, float]:
        """The distance."""
        pairs = [pair for sample in results for pair in sample]
        if len(pairs) < self.num_images:
            raise ValueError(
                f'{type(self).__name__} is to be of {self.num_images} '
                f'images, the test set has {len(pairs)}. Set '
                '`num_images`, and compare results of that number only.')
        original, coded = map(np.stack, zip(*pairs[:self.num_images]))
        value = self.distance(original, coded)
        return {f'{self.name}_{self.num_images}': value}

    @abstractmethod
    def distance(self, original: ndarray, coded: ndarray) -> float:
        """Distance of features, both (N, F)."""


@METRICS.register_module()
class FIDMetric(_InceptionMetric):
    """Fréchet Inception distance to the originals, lower is better.

    Arguments as of :class:`KIDMetric`, without ``subset_size``.
    """

    name = 'fid'
    lower_is_better = ('fid', )

    def distance(self, original: ndarray, coded: ndarray) -> float:
        """See :func:`frechet_distance`."""
        return frechet_distance(original, coded)


@METRICS.register_module()
class KIDMetric(_InceptionMetric):
    """Kernel Inception distance to the originals, lower is better.

    Args:
        num_images: How many count, the first of the test set. The number
            is part of the protocol and of the result's name.
        subset_size: Images in each of the 100 random subsets.
        extractor: Maps 8-bit images (B, 3, H, W) to features (B, F), in
            place of Inception.
        **kwargs: As of mmengine's ``BaseMetric``; without ``prefix``,
            metrics have ``'quality'`` in front.

    Raises:
        ImportError: If a package is missing.
        RuntimeError: If the weights cannot be had.
        ValueError: If a number is too small.
    """

    name = 'kid'
    lower_is_better = ('kid', )

    @former_arguments(num_pictures='num_images')
    def __init__(self,
                 num_images: int = 2000,
                 subset_size: int = 1000,
                 extractor: Extractor | None = None,
                 **kwargs) -> None:
        super().__init__(num_images, extractor, **kwargs)
        if not 2 <= subset_size <= num_images:
            raise ValueError('`subset_size` must be from 2 to `num_images` '
                             f'= {num_images}, got {subset_size}.')
        self.subset_size = subset_size

    def distance(self, original: ndarray, coded: ndarray) -> float:
        """See :func:`kernel_distance`."""
        return kernel_distance(original, coded, self.subset_size)
