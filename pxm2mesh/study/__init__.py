"""Study files: a whole run as one validated, frozen object."""

from pxm2mesh.study.examining import Examination, examine_study
from pxm2mesh.study.inputs import inputs_digest, result_digest
from pxm2mesh.study.locating import locate
from pxm2mesh.study.meshing import mesh_options
from pxm2mesh.study.model import Study, digest_of, with_phases
from pxm2mesh.study.names import phases_named
from pxm2mesh.study.reading import Problem, check_study, parse_study, read_study, write_study

__all__ = [
    "Examination",
    "Problem",
    "Study",
    "check_study",
    "digest_of",
    "examine_study",
    "inputs_digest",
    "locate",
    "mesh_options",
    "parse_study",
    "phases_named",
    "read_study",
    "result_digest",
    "with_phases",
    "write_study",
]
