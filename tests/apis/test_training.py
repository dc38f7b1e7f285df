import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mmhmc.apis.training import (TrainingError, load_config, prepare_data,
                                 run_training)
from mmhmc.checkpoints import read_checkpoint

CODEC = '''
default_scope = 'mmengine'
model = dict(type='mmhmc.CodecModel', codec=dict(
    type='mmhmc.FactorizedPrior', hidden_channels=4, latent_channels=4,
    init_cfg=dict(type='Pretrained', checkpoint=None, prefix='codec.')))
train_dataloader = dict(
    batch_size=2, num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type='mmhmc.ImageFolder', data_root={folder!r}, pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='mmhmc.RandomCropOrPad', crop_size=32),
        dict(type='mmhmc.PackImageInputs')]))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=3)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
custom_hooks = [dict(type='mmhmc.RateLossHook', lmbda_distortion=0.01),
                dict(type='mmhmc.EntropyTableHook')]
default_hooks = dict(checkpoint=dict(
    type='CheckpointHook', by_epoch=False, interval=3))
'''
STAGES = '''
stages = [dict(name='first', config='first.py',
               result='model.codec.init_cfg.checkpoint')]
'''


@pytest.fixture
def configs(tmp_path):
    """Configs of a stage and of what needs it, with images."""
    folder = tmp_path / 'images'
    folder.mkdir()
    for i in range(2):
        noise = np.random.default_rng(i).integers(0, 255, (40, 40, 3))
        Image.fromarray(noise.astype(np.uint8)).save(folder / f'{i}.png')
    text = CODEC.replace('{folder!r}', repr(str(folder)))
    (tmp_path / 'first.py').write_text(
        text.replace(
            """
    init_cfg=dict(type='Pretrained', checkpoint=None, prefix='codec.')""", ''))
    (tmp_path / 'second.py').write_text(text + STAGES)
    return tmp_path


def run(configs, **common):
    path = configs / 'second.py'
    cfg = load_config(
        path, work_dir=str(configs / 'work'), lmbda=common.get('lmbda'))
    return cfg, run_training(cfg, path, **common)


def test_stage_runs_first_and_its_weights_begin_the_run(configs):
    cfg, checkpoint = run(configs)
    stage = json.loads((configs / 'work/first/finished.json').read_text())
    assert cfg.model.codec.init_cfg.checkpoint == stage['checkpoint']
    assert Path(checkpoint).parent == configs / 'work'
    assert Path(checkpoint).exists()


def test_resumed_run_keeps_what_has_finished(configs):
    _, checkpoint = run(configs)
    times = {p: p.stat().st_mtime_ns for p in configs.rglob('*.pth')}
    _, again = run(configs, resume=True)
    assert again == checkpoint
    assert {p: p.stat().st_mtime_ns for p in configs.rglob('*.pth')} == times


def test_finished_run_of_other_settings_is_refused(configs):
    run(configs)
    with pytest.raises(TrainingError, match='finished with other settings'):
        run(configs, resume=True, lmbda=0.5)


@pytest.mark.parametrize('content', ['{"checkpo', '', '[]', '{}', b'\0\xff'])
def test_half_a_finished_mark_goes_on_from_the_checkpoint(configs, content):
    path = configs / 'first.py'

    def resume():
        return run_training(
            load_config(path, work_dir=str(configs / 'a')), path, resume=True)

    first = resume()
    mark = configs / 'a/finished.json'
    whole = mark.read_bytes()
    mark.write_bytes(
        content if isinstance(content, bytes) else content.encode())
    assert resume() == first
    assert mark.read_bytes() == whole


@pytest.mark.parametrize('content', ['', 'nowhere.pth', 'a'])
def test_last_checkpoint_that_names_none_is_said(configs, content):
    path = configs / 'first.py'
    run_training(load_config(path, work_dir=str(configs / 'a')), path)
    (configs / 'a/finished.json').unlink()
    (configs / 'a/last_checkpoint').write_text(content)
    cfg = load_config(path, work_dir=str(configs / 'a'))
    with pytest.raises(TrainingError, match='is no file.*iter_3.pth'):
        run_training(cfg, path, resume=True)


@pytest.mark.parametrize('options, said', [
    ({
        'train_dataloader.dataset.type': 'Nothing'
    }, 'Nothing is not in the'),
    ({
        'train_dataloader.dataset.nothing': 1
    }, 'argument .nothing'),
    ({
        'model.nothing': 1
    }, 'argument .nothing'),
    ({
        'model.type': 'mmhmc.Nothing'
    }, 'Nothing is not in the'),
    ({
        'train_cfg.type': 'Nothing'
    }, 'Nothing is not in the'),
])
def test_config_that_cannot_be_built_is_said_in_a_line(configs, options, said):
    path = configs / 'first.py'
    cfg = load_config(path, options, work_dir=str(configs / 'a'))
    with pytest.raises(TrainingError, match=f'cannot be built: .*{said}') as e:
        run_training(cfg, path)
    assert '\n' not in str(e.value)


def test_finished_run_of_other_weights_is_refused(configs):
    path = configs / 'first.py'
    first = run_training(load_config(path, work_dir=str(configs / 'a')), path)
    start, options = configs / 'start.pth', {}
    shutil.copy(first, start)

    def resume():
        cfg = load_config(path, options, work_dir=str(configs / 'b'))
        return run_training(cfg, path, resume=True)

    options['load_from'] = str(start)
    assert resume() == resume()
    # The same name, and another content.
    state = torch.load(start, weights_only=False)
    next(iter(state['state_dict'].values())).add_(1)
    torch.save(state, start)
    with pytest.raises(TrainingError, match='began with other weights'):
        resume()
    shutil.copy(first, start)
    resume()
    options['load_from'] = None
    with pytest.raises(TrainingError, match='began with other weights'):
        resume()


def test_finished_run_goes_on_when_it_is_to_be_longer(configs):
    path = configs / 'first.py'
    for iters in (3, 6):
        cfg = load_config(
            path, {'train_cfg.max_iters': iters},
            work_dir=str(configs / 'longer'))
        checkpoint = run_training(cfg, path, resume=True)
        assert Path(checkpoint).name == f'iter_{iters}.pth'
    assert (configs / 'longer/iter_3.pth').exists()


def test_weights_that_compressai_publishes_replace_the_stage(
        configs, compressai_zoo):
    compressai_zoo.publish('bmshj2018-factorized', 'mse', 1, (4, 4))
    name = 'compressai://bmshj2018-factorized/mse/1'
    path = configs / 'second.py'
    options = {'model.codec.init_cfg.checkpoint': name}
    cfg = load_config(path, options, work_dir=str(configs / 'work'))
    assert Path(run_training(cfg, path)).exists()
    assert not (configs / 'work/first').exists()


def test_weights_that_compressai_publishes_begin_a_run(configs,
                                                       compressai_zoo):
    network = compressai_zoo.publish('bmshj2018-factorized', 'mse', 1, (4, 4))
    path = configs / 'first.py'
    options = {
        'load_from': 'compressai://bmshj2018-factorized/mse/1',
        'optim_wrapper.optimizer.lr': 0.
    }
    cfg = load_config(path, options, work_dir=str(configs / 'work'))
    state = read_checkpoint(run_training(cfg, path))['state_dict']
    assert torch.equal(state['codec.g_a.0.weight'], network.g_a[0].weight)


def test_codec_that_does_not_fit_never_trains(configs):
    path = configs / 'first.py'
    cfg = load_config(path, work_dir=str(configs / 'codec'))
    checkpoint = run_training(cfg, path)
    key = 'model.codec.init_cfg.checkpoint'
    for more, said in (({
            key: checkpoint,
            'model.codec.latent_channels': 6
    }, 'size mismatch'), ({
            key: checkpoint,
            'model.codec.init_cfg.prefix': 'backbone.codec.'
    }, 'has codec')):
        cfg = load_config(
            configs / 'second.py', more, work_dir=str(configs / 'work'))
        with pytest.raises(ValueError, match=said):
            run_training(cfg, configs / 'second.py')
    cfg = load_config(
        path, {
            'load_from': checkpoint,
            'model.codec.latent_channels': 6
        },
        work_dir=str(configs / 'other'))
    with pytest.raises(ValueError, match='The checkpoint does not fit the'):
        run_training(cfg, path)


def test_batch_sizes_of_a_host_scale_the_rate_without_a_switch(configs):
    path = configs / 'first.py'
    path.write_text(path.read_text() +
                    'auto_scale_lr = dict(base_batch_size=4)\n')
    cfg = load_config(path, work_dir=str(configs / 'scaled'))
    checkpoint = run_training(cfg, path, auto_scale_lr=True)
    state = torch.load(checkpoint, weights_only=False)['optimizer']
    assert state['param_groups'][0]['lr'] == pytest.approx(1e-3 * 2 / 4)
    path.write_text(path.read_text().replace('auto_scale_lr', 'other'))
    cfg = load_config(path, work_dir=str(configs / 'unscaled'))
    with pytest.raises(TrainingError, match='with `base_batch_size`'):
        run_training(cfg, path, auto_scale_lr=True)


def test_only_data_that_are_needed_are_looked_for(tmp_path):

    def loader(root, **more):
        return dict(
            dataset=dict(
                type='CocoDataset',
                data_root=str(tmp_path / root),
                ann_file='a.json',
                data_prefix=dict(img='images/'),
                **more))

    (tmp_path / 'there/images').mkdir(parents=True)
    (tmp_path / 'there/images/a.jpg').touch()
    (tmp_path / 'there/a.json').write_text('{}')
    cfg = Config(
        dict(train_dataloader=loader('away'), test_dataloader=loader('there')))
    prepare_data(cfg, ('test', ))
    with pytest.raises(FileNotFoundError, match='away'):
        prepare_data(cfg)
    # What is read from elsewhere cannot be looked for here.
    remote = loader('away', backend_args=dict(backend='petrel'))
    prepare_data(Config(dict(train_dataloader=remote)))


def test_data_of_other_hosts_is_theirs_to_check():
    crops = dict(type='CustomDataset', data_root='d', data_prefix='train')
    prepare_data(Config(dict(train_dataloader=dict(dataset=crops))))


def test_stage_is_left_out_when_its_result_is_given(configs):
    _, checkpoint = run(configs)
    path = configs / 'second.py'
    cfg = load_config(
        path, {'model.codec.init_cfg.checkpoint': checkpoint},
        work_dir=str(configs / 'other'))
    run_training(cfg, path)
    assert not (configs / 'other/first').exists()


def test_stage_that_saves_nothing_is_told(configs):
    first = configs / 'first.py'
    first.write_text(first.read_text() +
                     '\ndefault_hooks = dict(checkpoint=None)\n')
    with pytest.raises(TrainingError, match='Stage first saved no checkpoint'):
        run(configs)


def test_lmbda_reaches_every_stage(configs):
    run(configs, lmbda=0.25)
    for dumped in (configs / 'work/second.py',
                   configs / 'work/first/first.py'):
        hooks = Config.fromfile(dumped).custom_hooks
        assert hooks[0].lmbda_distortion == 0.25


def test_stage_without_a_codec_has_no_rate(configs):
    first = configs / 'first.py'
    first.write_text(first.read_text().replace('mmhmc.RateLossHook',
                                               'AnyHook'))
    with pytest.raises(TrainingError, match='AnyHook'):
        # The stage itself is reached: the rate was no reason to refuse it.
        run(configs, lmbda=0.25)


def test_every_rate_has_a_folder_of_its_own(configs):
    cfg = load_config(configs / 'first.py', lmbda=0.013)
    assert cfg.work_dir == 'work_dirs/first/lmbda_0.013'


def test_negative_lmbda_is_refused(configs):
    with pytest.raises(ValueError, match='lmbda_distortion.*at least 0'):
        run(configs, lmbda=-1.)


def test_lmbda_without_a_codec_is_refused(configs):
    plain = configs / 'plain.py'
    plain.write_text('model = dict()')
    with pytest.raises(TrainingError, match='no RateLossHook'):
        load_config(plain, lmbda=0.1)


def test_missing_coco_files_are_named_once_for_all_loaders(tmp_path):
    loader = dict(
        dataset=dict(
            type='CocoDataset',
            data_root=str(tmp_path / 'coco'),
            ann_file='a.json',
            data_prefix=dict(img='images/')))
    cfg = Config(dict(train_dataloader=loader, val_dataloader=loader))
    with pytest.raises(FileNotFoundError, match='coco2017.py') as error:
        prepare_data(cfg)
    assert str(error.value).count('coco/a.json') == 1
    cfg.data_help = 'Ask the curator.'
    with pytest.raises(FileNotFoundError, match='Ask the curator'):
        prepare_data(cfg)
