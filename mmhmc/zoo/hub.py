"""Files in repositories of a hub: ``hf://OWNER/REPO/FILE``.

``huggingface_hub`` downloads them: it keeps them in its cache, goes on where
a download was cut off, and lets processes that want one file wait for one.
"""
from pathlib import Path

HUB = 'hf://'


def fetch_hub(address: str) -> Path:
    """Bring a file of a hub here, unless it is.

    Args:
        address: ``hf://OWNER/REPO/FILE``, or ``hf://OWNER/REPO@REVISION/FILE``
            for a branch, a tag or a commit.

    Returns:
        The file in the cache of ``huggingface_hub``.

    Raises:
        ModuleNotFoundError: If ``huggingface_hub`` is not installed.
        ConnectionError: If the file cannot be had.
        ValueError: If the address names no file.
    """
    owner, repo, file = [*address.removeprefix(HUB).split('/', 2), '', ''][:3]
    if not (owner and repo and file):
        raise ValueError(f'{address!r} names no file of a hub; expected '
                         'hf://OWNER/REPO/FILE.')
    try:
        from huggingface_hub import hf_hub_download
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'{address} needs huggingface_hub, which is not installed: pip '
            "install 'mmhmc[hub]'.") from error
    repo, _, revision = repo.partition('@')
    try:
        return Path(
            hf_hub_download(
                f'{owner}/{repo}', file, revision=revision or None))
    except OSError as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise ConnectionError(f'{address} cannot be had: '
                              f'{" ".join(lines[:1])}') from error
