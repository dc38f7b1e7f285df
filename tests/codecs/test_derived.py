import copy
import pickle

import torch
from torch import nn

from mmhmc.codecs.layers import Derived


def counter():
    """Something to make, and how often it was made."""
    made = []

    def make():
        made.append(len(made))
        return object()

    return make, made


def test_result_is_kept_while_the_tensors_are_what_they_were():
    derived, x, (make, made) = Derived(), torch.zeros(3), counter()
    first = derived.get('a', (x, ), make)
    assert derived.get('a', (x, ), make) is first
    assert derived.get('b', (x, ), make) is not first
    assert len(made) == 2
    assert derived.get('a', (x, ), make) is first


def test_result_is_made_again_when_a_tensor_changes():
    derived, (make, made) = Derived(), counter()
    layer = nn.Conv2d(2, 2, 3)
    changes = [
        lambda: layer.bias.detach().add_(1),
        lambda: layer.load_state_dict(layer.state_dict()),
        lambda: layer.double(),
        lambda: layer.to(memory_format=torch.channels_last),
        lambda: setattr(layer, 'bias', nn.Parameter(layer.bias.clone())),
        derived.forget,
    ]
    for count, change in enumerate(changes, 1):
        derived.get('a', (layer.weight, layer.bias), make)
        derived.get('a', (layer.weight, layer.bias), make)
        assert len(made) == count
        change()
    derived.get('a', (layer.weight, ), make)
    assert len(made) == len(changes) + 1


def test_copies_and_pickles_begin_empty():
    derived, x, (make, made) = Derived(), torch.zeros(3), counter()
    # Not even something that cannot be copied stands in the way.
    derived.get('a', (x, ), lambda: lambda: None)
    for copied in (copy.deepcopy(derived),
                   pickle.loads(pickle.dumps(derived))):
        copied.get('a', (x, ), make)
    assert len(made) == 2


def test_nothing_is_kept_for_inference_tensors():
    derived, (make, made) = Derived(), counter()
    with torch.inference_mode():
        x = torch.zeros(3)
    derived.get('a', (x, ), make)
    derived.get('a', (x, ), make)
    assert len(made) == 2
