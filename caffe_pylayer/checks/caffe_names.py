# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""All public names of pycaffe 1.0: one that the stand-in has not says so when used."""

import os
import types

import numpy as np

MODULES = {  # their names, of which submodules are some
    "caffe": """
        AdaDeltaSolver AdaGradSolver AdamSolver Classifier Detector Layer NCCL
        NesterovSolver Net NetSpec RMSPropSolver SGDSolver TEST TRAIN Timer classifier
        coord_map detector draw get_solver has_nccl init_log io layer_type_list layers
        log net_spec params proto pycaffe set_device set_mode_cpu set_mode_gpu
        set_multiprocess set_random_seed set_solver_count set_solver_rank solver_count
        solver_rank to_proto _caffe
    """,
    "caffe._caffe": """
        AdaDeltaSolver AdaGradSolver AdamSolver Blob BlobVec BoolVec DtypeVec IntVec
        Layer LayerParameter LayerVec NCCL NesterovSolver Net NetVec RMSPropSolver
        RawBlobVec SGDSolver Solver SolverParameter StringVec Timer get_solver has_nccl
        init_log layer_type_list log set_device set_mode_cpu set_mode_gpu
        set_multiprocess set_random_seed set_solver_count set_solver_rank solver_count
        solver_rank
    """,
    "caffe.pycaffe": """
        AdaDeltaSolver AdaGradSolver AdamSolver NCCL NesterovSolver Net RMSPropSolver
        SGDSolver Timer caffe np
    """,
    "caffe.io": """
        Transformer array_to_blobproto array_to_datum arraylist_to_blobprotovector_str
        blobproto_to_array blobprotovector_str_to_arraylist caffe_pb2 datum_to_array
        load_image np oversample resize resize_image skimage zoom
    """,
    "caffe.net_spec": """
        Function Layers NetSpec Parameters Top assign_proto caffe_pb2 layers
        param_name_dict params to_proto
    """,
    "caffe.proto": """
        caffe_pb2
    """,
    "caffe.proto.caffe_pb2": """
        AccuracyParameter ArgMaxParameter BatchNormParameter BiasParameter BlobProto
        BlobProtoVector BlobShape ClipParameter ConcatParameter
        ContrastiveLossParameter ConvolutionParameter CropParameter DESCRIPTOR
        DataParameter Datum DropoutParameter DummyDataParameter ELUParameter
        EltwiseParameter EmbedParameter ExpParameter FillerParameter FlattenParameter
        HDF5DataParameter HDF5OutputParameter HingeLossParameter ImageDataParameter
        InfogainLossParameter InnerProductParameter InputParameter LRNParameter
        LayerParameter LogParameter LossParameter MVNParameter MemoryDataParameter
        NetParameter NetState NetStateRule PReLUParameter ParamSpec ParameterParameter
        Phase PoolingParameter PowerParameter PythonParameter ReLUParameter
        RecurrentParameter ReductionParameter ReshapeParameter SPPParameter
        ScaleParameter SigmoidParameter SliceParameter SoftmaxParameter SolverParameter
        SolverState SwishParameter TEST TRAIN TanHParameter ThresholdParameter
        TileParameter TransformationParameter V0LayerParameter V1LayerParameter
        WindowDataParameter
    """,
    "caffe.classifier": """
        Classifier caffe np
    """,
    "caffe.detector": """
        Detector caffe np os
    """,
    "caffe.draw": """
        BLOB_STYLE LAYER_STYLE_DEFAULT NEURON_LAYER_STYLE caffe_pb2
        choose_color_by_layertype draw_net draw_net_to_file get_edge_label
        get_layer_label get_layer_lr_mult get_pooling_types_dict get_pydot_graph
    """,
    "caffe.coord_map": """
        AxisMismatchException L PASS_THROUGH_LAYERS UndefinedMapException compose
        conv_params coord_map coord_map_from_to crop crop_params inverse np
    """,
}
# Names of classes that the stand-in has, with those of which it has nothing to show.
MEMBERS = {
    "Net": """
        after_backward after_forward before_backward before_forward blob_loss_weights
        bottom_names clear_param_diffs forward_all forward_backward_all inputs
        load_hdf5 outputs save_hdf5 set_input_arrays top_names
    """,
    "RawBlobVec": "append extend",
    "IntVec": "append extend",
}


class CaffeAborted(BaseException):
    """Where real Caffe would end the process; no `except Exception` stops it."""


class NotInStandin(CaffeAborted):
    """Something was used that only real Caffe can do; the message says what."""

    def __init__(self, name):
        text = "the stand-in cannot do %s: use real Caffe, --caffe=real" % name
        super(NotInStandin, self).__init__(text)


class _Missing(type):
    """Of classes in the place of what is missing: one may be named, but not used."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return missing("%s.%s" % (cls.name, name))

    def _use(cls, *args, **kwargs):
        raise NotInStandin(cls.name)

    __call__ = __iter__ = __len__ = __getitem__ = __setitem__ = _use
    __bool__ = __nonzero__ = lambda cls: True


def missing(name):
    """Return a class that says that the stand-in has no such thing, when used."""
    return _Missing(str(name.split(".")[-1]), (object,), {"name": name})


def _own(name):
    return type(str(name), (Exception,), {})


# What is neither in the stand-in nor a module of pycaffe, and simple.
SIMPLE = {
    "np": np,
    "os": os,
    "AxisMismatchException": _own("AxisMismatchException"),
    "UndefinedMapException": _own("UndefinedMapException"),
}


def modules(standin):
    """Return the modules of pycaffe by their names, the stand-in the first of them.

    They hold what the stand-in has, and in the place of all else what says so.
    """
    for name, members in MEMBERS.items():
        for member in members.split():
            whole = "caffe.%s.%s" % (name, member)
            setattr(getattr(standin, name), member, missing(whole))
    made = {name: types.ModuleType(name) for name in MODULES}
    made["caffe"] = standin
    own = dict(SIMPLE, **vars(standin))
    own.update(caffe=standin, caffe_pb2=made["caffe.proto.caffe_pb2"])
    for where, names in MODULES.items():
        for name in names.split():
            whole = where + "." + name
            found = made.get(whole, own.get(name))
            setattr(made[where], name, missing(whole) if found is None else found)
    return made
