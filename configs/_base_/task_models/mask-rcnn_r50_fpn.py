"""Mask R-CNN R50-FPN, as the host has it."""
_base_ = ['mmdet::_base_/models/mask-rcnn_r50_fpn.py']
