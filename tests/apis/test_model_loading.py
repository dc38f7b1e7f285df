"""What a model is told beside its weights."""
from conftest import MockTaskModel
from mmengine.config import Config
from mmengine.visualization.utils import color_val_matplotlib

from mmhmc.apis.model_loading import _dataset_meta
from mmhmc.checkpoints import read_checkpoint, write_safetensors


def test_colours_of_a_file_are_what_hosts_draw_with(tmp_path):
    path = tmp_path / 'a.safetensors'
    write_safetensors(MockTaskModel().state_dict(), path,
                      dict(classes=('person', ), palette=[(220, 60, 50)]))
    meta = _dataset_meta(Config(dict()), read_checkpoint(path))
    assert meta['palette'] == [(220, 60, 50)]
    color_val_matplotlib(meta['palette'])
