"""What is done to a cell; it lives with the study file, which is checked where there is no solver."""

from __future__ import annotations

from pxm2mesh.study.protocol import Current as Current
from pxm2mesh.study.protocol import Press as Press
from pxm2mesh.study.protocol import Rest as Rest
from pxm2mesh.study.protocol import Step as Step
from pxm2mesh.study.protocol import Voltage as Voltage
from pxm2mesh.study.protocol import cccv as cccv
from pxm2mesh.study.protocol import parse_rate as parse_rate
from pxm2mesh.study.protocol import parse_steps as parse_steps
