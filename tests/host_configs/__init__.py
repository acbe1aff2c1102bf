"""The configs of mmdet_configs and mmseg_configs."""

from tests import ROOT

CONFIGS = sorted([*ROOT.glob("mmdet_configs/*.py"), *ROOT.glob("mmseg_configs/*.py")])
