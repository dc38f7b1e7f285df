"""Lower precision stays away from what decides a rate."""
import pytest
import torch
from conftest import CODECS, make_runner, wrapped_model

from mmhmc.codecs import build_codec
from mmhmc.engine import AutocastHook, RateLossHook

pytestmark = pytest.mark.usefixtures('bf16')


@pytest.mark.parametrize('name', CODECS)
def test_entropy_models_compute_in_float32_under_autocast(tmp_path, name):
    codec = build_codec(dict(type=f'mmhmc.{name}', **CODECS[name]))
    transforms, models = set(), set()

    def note(kinds):

        def look(module, args, output):
            outputs = output if isinstance(output, tuple) else (output, )
            kinds.update(
                t.dtype for t in (*args, *outputs)
                if isinstance(t, torch.Tensor) and t.is_floating_point())

        return look

    codec.g_a[0].register_forward_hook(note(transforms))
    for part in ('entropy_bottleneck', 'gaussian_conditional', 'h_a', 'h_s'):
        if hasattr(codec, part):
            getattr(codec, part).register_forward_hook(note(models))
    model = wrapped_model(codec)
    hooks = [AutocastHook(), RateLossHook()]
    make_runner(
        model,
        tmp_path,
        hooks,
        max_epochs=1,
        default_hooks=dict(checkpoint=None)).train()
    assert torch.bfloat16 in transforms
    assert models == {torch.float32}
