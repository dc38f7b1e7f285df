import copy
import pickle

import torch
from torch import nn

from mmhmc.codecs.layers import TensorCache


def counter():
    """Something to make, and how often it was made."""
    made = []

    def make():
        made.append(len(made))
        return object()

    return make, made


def test_result_is_kept_while_the_tensors_are_what_they_were():
    cache, x, (make, made) = TensorCache(), torch.zeros(3), counter()
    first = cache.get('a', (x, ), make)
    assert cache.get('a', (x, ), make) is first
    assert cache.get('b', (x, ), make) is not first
    assert len(made) == 2
    assert cache.get('a', (x, ), make) is first


def test_result_is_made_again_when_a_tensor_changes():
    cache, (make, made) = TensorCache(), counter()
    layer = nn.Conv2d(2, 2, 3)
    changes = [
        lambda: layer.bias.detach().add_(1),
        lambda: layer.load_state_dict(layer.state_dict()),
        lambda: layer.double(),
        lambda: layer.to(memory_format=torch.channels_last),
        lambda: setattr(layer, 'bias', nn.Parameter(layer.bias.clone())),
        cache.forget,
    ]
    for count, change in enumerate(changes, 1):
        cache.get('a', (layer.weight, layer.bias), make)
        cache.get('a', (layer.weight, layer.bias), make)
        assert len(made) == count
        change()
    cache.get('a', (layer.weight, ), make)
    assert len(made) == len(changes) + 1


def test_copies_and_pickles_begin_empty():
    cache, x, (make, made) = TensorCache(), torch.zeros(3), counter()
    # Not even something that cannot be copied stands in the way.
    cache.get('a', (x, ), lambda: lambda: None)
    for copied in (copy.deepcopy(cache), pickle.loads(pickle.dumps(cache))):
        copied.get('a', (x, ), make)
    assert len(made) == 2


def test_nothing_is_kept_for_inference_tensors():
    cache, (make, made) = TensorCache(), counter()
    with torch.inference_mode():
        x = torch.zeros(3)
    cache.get('a', (x, ), make)
    cache.get('a', (x, ), make)
    assert len(made) == 2
