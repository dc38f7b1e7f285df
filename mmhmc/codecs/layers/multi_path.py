"""Stages in which each position takes one of two paths."""
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from .attention_stage import AttentionStage, initialise_linear, make_mlp

#: Width of a side path in parts of the channels, by its kind.
PATH_WIDTHS = dict(bottleneck=0.5, inverted=2)
#: How much faster than its parameter a predictor's shift learns.
_SHIFT_SPEED = 100


@dataclass(frozen=True)
class PathChoice:
    """Which side path is open, and to how many positions.

    Args:
        name: The side path.
        ratio: Share of positions that take the main path, in [0, 1].
        level: Which of the predictors' shifts holds in training, from 0.
        masks: Filled by each stage in turn with a mask, shape (B, H, W), 1
            where a position took the main path.
    """

    name: str
    ratio: float
    level: int
    masks: list[Tensor] = field(default_factory=list, compare=False)

    def ratio_loss(self) -> Tensor:
        """Squared distance of the masks' means from the ratio, mean of all."""
        shares = torch.stack([mask.mean(dim=(1, 2)) for mask in self.masks])
        return (shares - self.ratio).square().mean()


class PathPredictor(nn.Module):
    """Scores each position: the higher, the more it needs the main path.

    Half of the hidden channels are averaged over the image, so that a
    position is judged among all others, as in DynamicViT.

    Reference:
        Y. Rao, W. Zhao, B. Liu, J. Lu, J. Zhou, C. Hsieh: "DynamicViT:
        Efficient Vision Transformers with Dynamic Token Sparsification",
        NeurIPS 2021. https://arxiv.org/abs/2106.02034

    Args:
        dim: Channels C, a multiple of 16.
        num_levels: Shifts of the score, of which training uses one.
    """

    def __init__(self, dim: int, num_levels: int) -> None:
        super().__init__()
        self.local = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, dim // 4), nn.GELU())
        self.score = nn.Sequential(
            nn.Linear(dim // 4, dim // 16), nn.GELU(),
            nn.Linear(dim // 16, 1, bias=False))
        self.shift = nn.Parameter(torch.zeros(num_levels))
        initialise_linear(self)

    def forward(self, x: Tensor, level: int) -> Tensor:
        """Logits (B, H, W) of ``x``, (B, H, W, C).

        In training the shift of this level is added.
        """
        own, other = self.local(x).chunk(2, dim=-1)
        other = other.mean(dim=(1, 2), keepdim=True).expand_as(own)
        logits = self.score(torch.cat((own, other), dim=-1))[..., 0]
        if self.training:
            logits = logits + _SHIFT_SPEED * self.shift[level]
        return logits


class MultiPathStage(AttentionStage):
    """A stage whose blocks have side paths beside their main one.

    A predictor for each side path decides once, at the stage's entrance,
    which positions leave the main path in all blocks. Attention, norms and
    gains are shared; a side path has a network of its own in each block.

    In training all positions go through both paths, and a random mask that is
    0 or 1 mixes them, with the gradient of its probability (Gumbel sigmoid
    and straight-through). In evaluation the given share of each image's
    positions with the highest scores takes the main path, and each position
    is computed on its path only.

    Args:
        dim: See :class:`AttentionStage`.
        kernel_size: See :class:`AttentionStage`.
        drop_path: See :class:`AttentionStage`.
        num_qualities: As well; also the number of the predictors' shifts.
        paths: For each side path its kind, ``'bottleneck'`` or
            ``'inverted'``: a hidden width of half the channels, or twice.
    """

    controls = ('quality', 'path')

    def __init__(self, dim: int, kernel_size: int, drop_path: list[float],
                 num_qualities: int, paths: dict[str, str]) -> None:
        super().__init__(dim, kernel_size, drop_path, num_qualities)
        self.predictors = nn.ModuleDict(
            {name: PathPredictor(dim, num_qualities)
             for name in paths})
        self.sides = nn.ModuleDict({
            name:
            nn.ModuleList(
                nn.Sequential(
                    nn.LayerNorm(dim),
                    make_mlp(dim, int(PATH_WIDTHS[kind] * dim)))
                for _ in drop_path)
            for name, kind in paths.items()
        })
        initialise_linear(self.sides)

    def forward(self,
                x: Tensor,
                quality: float | None = None,
                path: PathChoice | None = None) -> Tensor:
        """Run the blocks on ``x`` (B, C, H, W).

        Without a path all positions take the main one.
        """
        if path is None:
            return super().forward(x, quality)
        tokens = x.permute(0, 2, 3, 1)
        predictor = self.predictors[path.name]
        logits = predictor(tokens, path.level)
        if predictor.training:
            mask = draw_mask(logits)
            tokens = self._mix(tokens, quality, path.name, mask)
        else:
            main, side = split_positions(logits, path.ratio)
            mask = torch.zeros(
                logits.shape,
                device=logits.device).flatten(1).scatter(1, main,
                                                         1.).view(logits.shape)
            tokens = self._divide(tokens, quality, path.name, main, side)
        path.masks.append(mask)
        return tokens.permute(0, 3, 1, 2) + x

    def _mix(self, tokens: Tensor, quality: float | None, name: str,
             mask: Tensor) -> Tensor:
        """All positions through both paths, (B, H, W, C)."""
        mask = mask[..., None].to(tokens.dtype)
        main = side = tokens
        for block, network in zip(self.blocks, self.sides[name]):
            tokens = block.attend(main * mask + side * (1 - mask), quality)
            # Positions that leave a path keep their values there.
            into_main = tokens * mask + main * (1 - mask)
            into_side = tokens * (1 - mask) + side * mask
            main = tokens + block.refine(into_main, quality)
            side = tokens + block.refine(into_side, quality, network)
        return main * mask + side * (1 - mask)

    def _divide(self, tokens: Tensor, quality: float | None, name: str,
                main: Tensor, side: Tensor) -> Tensor:
        """Each position on its own path, (B, H, W, C)."""
        shape = tokens.shape
        first = torch.arange(len(tokens), device=tokens.device)[:, None]
        # Whole rows are copied, which is faster than to gather elements.
        places = [(p + first * shape[1] * shape[2]).flatten()
                  for p in (main, side)]
        back = torch.cat(places).argsort()
        for block, network in zip(self.blocks, self.sides[name]):
            tokens = block.attend(tokens, quality).reshape(-1, shape[-1])
            branches = [
                block.refine(tokens.index_select(0, rows), quality, path)
                for rows, path in zip(places, (None, network)) if len(rows)
            ]
            branch = branches[0] if len(branches) == 1 else torch.cat(
                branches).index_select(0, back)
            tokens = (tokens + branch).view(shape)
        return tokens


def strongest_part(main: dict[str, Tensor],
                   side: nn.Module) -> dict[str, Tensor]:
    """The part of a main path that fits a narrower side path.

    Of the hidden channels those are taken whose weights, into them and out of
    them, have the largest product of norms.

    Args:
        main: State dict of an :class:`TransformerBlock`.
        side: A side path's network for that block.

    Returns:
        State dict for ``side``, empty if ``main`` is not whole.
    """
    names = ('norm2.weight', 'norm2.bias', 'mlp.0.weight', 'mlp.0.bias',
             'mlp.2.weight', 'mlp.2.bias')
    if not all(name in main for name in names):
        return {}
    scale, shift, inward, inner, outward, outer = (main[n] for n in names)
    strength = inward.norm(dim=1) * outward.norm(dim=0)
    count = min(side[1][0].out_features, len(strength))
    kept = strength.topk(count).indices.sort()[0]
    return {
        '0.weight': scale.clone(),
        '0.bias': shift.clone(),
        '1.0.weight': inward[kept],
        '1.0.bias': inner[kept],
        '1.2.weight': outward[:, kept],
        '1.2.bias': outer.clone(),
    }


def draw_mask(logits: Tensor) -> Tensor:
    """Random bits, with the gradient of a sigmoid.

    Args:
        logits: Any shape.

    Returns:
        Zeros and ones of the same shape, float32 or float64; 1 with the
        probability that the sigmoid of the logit gives.

    Reference:
        E. Jang, S. Gu, B. Poole: "Categorical Reparameterization with
        Gumbel-Softmax", ICLR 2017. https://arxiv.org/abs/1611.01144
    """
    # The difference of two Gumbel variables is logistic. In float32 also
    # under autocast: the mean of a mask of bfloat16 would be inaccurate.
    logits = logits if logits.dtype == torch.float64 else logits.float()
    uniform = torch.rand_like(logits).clamp(1e-6, 1 - 1e-6)
    soft = (logits + uniform.logit()).sigmoid()
    hard = (soft > 0.5).to(soft.dtype)
    # In this order the value is exactly 0 or 1.
    return hard + (soft - soft.detach())


def split_positions(scores: Tensor, ratio: float) -> tuple[Tensor, Tensor]:
    """The positions of the highest scores, and the others.

    Args:
        scores: Shape (B, H, W); of equal ones those that come first win.
        ratio: Share of the first, rounded down to positions.

    Returns:
        Indexes into H * W positions, rising, shapes (B, n), (B, H * W - n).
    """
    order = scores.flatten(1).argsort(dim=1, descending=True, stable=True)
    count = int(order.shape[1] * ratio)
    # In the order of the map: if all positions take one path, the result does
    # not depend on their scores.
    return (order[:, :count].sort(dim=1)[0], order[:, count:].sort(dim=1)[0])
