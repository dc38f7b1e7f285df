"""What a piece of code asks of the device, counted on a CPU."""
from collections import Counter
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode

#: Where a GPU has to be waited for: its numbers come to Python, or what
#: comes out has a size that only the GPU knows.
_WAITS = ('_local_scalar_dense', 'is_nonzero', 'nonzero', 'masked_select',
          'unique', '_unique2', 'unique_consecutive')
#: Python's numbers go to the device; with the device named, it is waited for.
_BUILDERS = ('tensor', 'as_tensor')
#: All numbers of a tensor come to Python.
_READERS = ('tolist', 'numpy', 'cpu')


class TracedOps(TorchDispatchMode):
    """Counts operations, and where a GPU would be waited for.

    Attributes:
        waits: By name, how often numbers came from the device or, as a tensor
            that is made of Python's, went there.
        convolutions: Batch size of each backward pass of a convolution.
        count: Number of all operations.
    """

    def __init__(self):
        super().__init__()
        self.waits = Counter()
        self.convolutions = []
        self.count = 0

    def __enter__(self):
        self._patches = [
            mock.patch.object(where, name, self._noting(where, name, when))
            for where, names, when in (
                (torch, _BUILDERS, lambda args, kwargs: kwargs.get('device') is
                 not None and not isinstance(args[0], torch.Tensor)),
                (torch.Tensor, _READERS, lambda args, kwargs: True))
            for name in names
        ]
        for patch in self._patches:
            patch.start()
        return super().__enter__()

    def __exit__(self, *args):
        for patch in self._patches:
            patch.stop()
        return super().__exit__(*args)

    def _noting(self, where, name, when):
        function = getattr(where, name)

        def noting(*args, **kwargs):
            if when(args, kwargs):
                self.waits[name] += 1
            return function(*args, **kwargs)

        return noting

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        self.count += 1
        if name in _WAITS:
            self.waits[name] += 1
        if name in ('index', 'index_put', 'index_put_') and any(
                i is not None and i.dtype in (torch.bool, torch.uint8)
                for i in args[1]):
            self.waits['mask as an index'] += 1
        if name == 'convolution_backward':
            self.convolutions.append(len(args[0]))
        return function(*args, **(kwargs or {}))
