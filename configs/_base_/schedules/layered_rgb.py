"""As `layered_heads.py`, without a codec."""
_base_ = ['./adamw_cosine_60e.py', '../hooks/host.py']
