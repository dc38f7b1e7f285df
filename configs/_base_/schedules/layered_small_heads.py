"""`layered_heads.py` for the small layered codec."""
_base_ = ['./muon_cosine_20e.py', '../hooks/layered_separate.py']
