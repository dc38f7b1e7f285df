import json

from mmhmc.apis.result_log import ResultLog


def row(output, **more):
    return dict(output=output, **more)


def test_rows_are_read_by_their_output_and_the_last_counts(tmp_path):
    log = ResultLog(tmp_path, 'encode')
    assert log.read() == {}
    for one in (row('b', n=1), row('a', n=2), row('b', n=3)):
        log.append(one)
    assert log.read() == dict(a=row('a', n=2), b=row('b', n=3))


def test_half_a_line_of_an_interrupted_run_harms_nothing(tmp_path):
    log = ResultLog(tmp_path, 'encode')
    log.append(row('a'))
    path = tmp_path / 'encode.jsonl'
    path.write_text(path.read_text() + '{"output": "b", "n')
    assert set(log.read()) == {'a'}
    log.append(row('c'))
    assert set(log.read()) == {'a', 'c'}


def test_ranks_write_files_of_their_own_until_they_are_merged(tmp_path):
    logs = [ResultLog(tmp_path, 'encode', rank, 2) for rank in (0, 1)]
    logs[0].append(row('b'))
    logs[1].append(row('a'))
    assert len(list(tmp_path.iterdir())) == 2
    # Also by a run of one process, after two were interrupted.
    assert set(ResultLog(tmp_path, 'encode').read()) == {'a', 'b'}
    logs[0].finish([row('b', n=1)])
    file, = tmp_path.iterdir()
    assert file.name == 'encode.jsonl'
    lines = file.read_text().splitlines()
    assert [json.loads(line) for line in lines] == [row('a'), row('b', n=1)]


def test_finished_log_is_sorted_and_has_each_output_once(tmp_path):
    log = ResultLog(tmp_path, 'encode')
    for name in 'cab':
        log.append(row(name))
    log.finish([row('a', n=1)])
    lines = (tmp_path / 'encode.jsonl').read_text().splitlines()
    assert [json.loads(line)['output'] for line in lines] == ['a', 'b', 'c']
    assert log.read()['a'] == row('a', n=1)
