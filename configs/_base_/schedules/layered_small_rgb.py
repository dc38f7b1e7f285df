"""As `layered_small_heads.py`, without a codec."""
_base_ = ['./muon_cosine_20e.py', '../hooks/host.py']
