"""What a piece of code asks of the device, counted on a CPU."""
from collections import Counter
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode

#: Where a GPU has to be waited for: its numbers come to Python, or what
#: comes out has a size that only the GPU knows.
_WAITS = ('_local_scalar_dense', 'is_nonzero', 'nonzero', 'masked_select',
          'unique', '_unique2', 'unique_consecutive')
_BUILDERS = ('tensor', 'as_tensor', 'from_numpy')


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
            mock.patch.object(torch, name, self._noting(name))
            for name in _BUILDERS
        ]
        for patch in self._patches:
            patch.start()
        return super().__enter__()

    def __exit__(self, *args):
        for patch in self._patches:
            patch.stop()
        return super().__exit__(*args)

    def _noting(self, name):
        build = getattr(torch, name)

        def builds(*args, **kwargs):
            self.waits[name] += not isinstance(args[0], torch.Tensor)
            return build(*args, **kwargs)

        return builds

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
